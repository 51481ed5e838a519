"""What an engine says of itself, and what it says to a caller who is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.execution import Outcome, Program
from osprey_executor.models import RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench


class TestContract:
    """The protocol beyond `run`, and the errors that are raised."""

    def test_an_outcome_tells_what_contained_it(self, bench: Bench) -> None:
        outcome = bench.run("pass")
        assert outcome.isolation == bench.engine.isolation
        assert outcome.isolation.engine == bench.engine.name
        assert outcome.isolation.proven == bench.expected.proven

    def test_every_wall_that_is_claimed_is_probed(self, bench: Bench) -> None:
        failed = [probe for probe in bench.wait(bench.engine.probe()) if probe.outcome == "failed"]
        assert bool(failed) != bench.expected.proven, failed

    def test_identity_is_stable_and_can_be_hashed(self, bench: Bench) -> None:
        first, second = (bench.wait(bench.engine.identity()) for _ in range(2))
        assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)

    def test_usage_is_told(self, bench: Bench) -> None:
        usage = bench.run("sum(range(3_000_000))").usage
        assert usage.wall_seconds > 0
        assert usage.cpu_seconds > 0
        assert usage.max_memory > 1 << 20

    @pytest.mark.parametrize("kind", ["missing", "folder"])
    def test_an_input_that_is_no_file_is_the_callers_error(self, bench: Bench, tmp_path: Path, kind: str) -> None:
        with pytest.raises(InvalidRequestError, match="data"):
            bench.run("pass", inputs={"data": tmp_path if kind == "folder" else tmp_path / "missing"})

    @pytest.mark.parametrize("name", ["../up", "/root", "", "..", "a/b"])
    def test_an_input_cannot_be_named_out_of_its_folder(self, bench: Bench, name: str) -> None:
        with pytest.raises(InvalidRequestError):
            bench.run("pass", inputs={name: b""})

    def test_a_context_that_is_not_data_is_the_callers_error(self, bench: Bench) -> None:
        with pytest.raises(InvalidRequestError, match="context"):
            bench.run("pass", context={"thing": object()})

    def test_a_folder_that_cannot_be_made_is_told(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError):
            bench.run("pass", folder=tmp_path / "file" / "run")

    def test_runs_at_once_do_not_mix(self, bench: Bench) -> None:
        code = "import os\nopen('n', 'w').write(str(context.n))\nresults = {'n': context.n, 'seen': os.listdir('.')}"

        async def all_of_them() -> list[Outcome]:
            programs = [Program(code=code, context={"n": number}) for number in range(8)]
            return await asyncio.gather(*(bench.engine.run(program) for program in programs))

        for number, outcome in enumerate(bench.wait(all_of_them())):
            assert outcome.status is RunStatus.SUCCEEDED, outcome.error
            assert outcome.results["n"] == number
            assert set(outcome.results["seen"]) <= {"n", "inputs"}
            assert [path.read_text() for path in outcome.artifacts] == [str(number)]
