"""Limits of what a program may leave or put aside: the working folder, its number of files, and /tmp."""

from __future__ import annotations

import pytest

from osprey_executor.models import Limits, RunStatus
from osprey_executor.testing.engine_conformance._bench import MIB, Bench, told
from osprey_executor.testing.engine_conformance._limits import BEFORE, assert_named

LIMITS = Limits(timeout=60, folder=8 * MIB, tmp=4 * MIB, files=100)
FILL = """
import os
def fill(folder, size):
    for number in range(size):
        with open(os.path.join(folder, f"big-{number}"), "wb") as stream: stream.write(b"x" * (1 << 20))
"""


class TestLimitsOfDisk:
    """A full folder is told by name, whether or not the program looks at the error."""

    def test_bytes_in_many_files(self, bench: Bench) -> None:
        assert_named(bench.run(BEFORE + FILL + "fill('.', 20)", limits=LIMITS), "folder limit 8 MiB", "folder")

    def test_bytes_in_one_file(self, bench: Bench) -> None:
        code = BEFORE + "with open('big', 'wb') as f:\n    for _ in range(20): f.write(b'x' * (1 << 20))"
        assert_named(bench.run(code, limits=LIMITS), "folder limit 8 MiB", "folder")

    def test_bytes_whose_refusal_the_program_passes_over(self, bench: Bench) -> None:
        code = BEFORE + FILL + "try: fill('.', 20)\nexcept OSError: pass\nresults = {'step': 2}"
        outcome = bench.run(code, limits=LIMITS)
        assert (outcome.status, outcome.partial, outcome.results) == (RunStatus.SUCCEEDED, True, {"step": 2})
        assert "folder limit 8 MiB reached (limits.folder)" in told(outcome)

    def test_number_of_files(self, bench: Bench) -> None:
        code = BEFORE + "for number in range(100_000): open(f'many-{number}', 'w').close()"
        outcome = bench.run(code, limits=LIMITS)
        assert_named(outcome, "file limit 100", "files")
        assert len(outcome.artifacts) <= 100

    def test_number_of_files_whose_refusal_the_program_passes_over(self, bench: Bench) -> None:
        code = """
import os
for number in range(100_000):
    try: os.mkdir(f"many-{number}")
    except OSError: break
"""
        outcome = bench.run(code, limits=LIMITS)
        assert (outcome.status, outcome.partial) == (RunStatus.SUCCEEDED, True)
        assert "file limit 100 reached (limits.files)" in told(outcome)

    @pytest.mark.parametrize("where", ["'/tmp'", "tempfile.gettempdir()"])
    def test_bytes_in_tmp(self, bench: Bench, where: str) -> None:
        code = BEFORE + FILL + f"import tempfile\nfill({where}, 20)"
        assert_named(bench.run(code, limits=LIMITS), "tmp limit 4 MiB", "tmp")

    def test_one_limit_does_not_pass_for_another(self, bench: Bench) -> None:
        outcome = bench.run(BEFORE + FILL + "fill('/tmp', 20)", limits=LIMITS)
        assert "limits.folder" not in told(outcome)
        assert "limits.files" not in told(outcome)

    def test_a_sparse_file_counts_with_its_whole_size(self, bench: Bench) -> None:
        code = "for name in ('a', 'b', 'c'):\n    with open(name, 'wb') as f: f.truncate(6 << 20)"
        outcome = bench.run(code, limits=LIMITS)
        assert sum(path.stat().st_size for path in outcome.artifacts) <= LIMITS.folder
        assert outcome.partial
        assert "limits.folder" in told(outcome)

    def test_a_file_larger_than_the_folder_is_refused(self, bench: Bench) -> None:
        code = BEFORE + "with open('huge', 'wb') as f: f.truncate(1 << 40)"
        assert_named(bench.run(code, limits=LIMITS), "folder limit 8 MiB", "folder")

    def test_a_folder_that_was_emptied_again_is_whole(self, bench: Bench) -> None:
        code = FILL + "try: fill('.', 20)\nexcept OSError: [os.unlink(n) for n in os.listdir('.') if 'big' in n]"
        outcome = bench.run(code + "\nresults = {'a': 1}", limits=LIMITS)
        assert (outcome.status, outcome.partial, outcome.artifacts) == (RunStatus.SUCCEEDED, False, ())
