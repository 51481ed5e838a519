"""What ordinary programs need works inside as it does outside: the walls are for what they do not need."""

from __future__ import annotations

import re

import pytest

from osprey_executor.models import RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench, told
from osprey_executor.testing.engine_conformance._programs_language import LANGUAGE
from osprey_executor.testing.engine_conformance._programs_system import SYSTEM

SCIENCE = {
    "numpy": """
import numpy as np
a = np.random.default_rng(0).random((100, 100))
assert np.allclose(np.linalg.inv(a) @ a, np.eye(100), atol=1e-6)
np.save("a.npy", a); assert np.load("a.npy", mmap_mode="r").shape == (100, 100)
""",
    "pandas": """
import pandas as pd
frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=3, tz="UTC"), "a": [1, 2, 3]})
frame.to_csv("a.csv"); assert pd.read_csv("a.csv").a.sum() == 6
""",
    "matplotlib": """
import matplotlib.pyplot as plt
figure, axes = plt.subplots(); axes.plot([1, 2]); axes.set_title("é $x^2$")
figure.savefig("a.png"); figure.savefig("a.svg"); plt.close(figure)
""",
}


class TestPrograms:
    """Programs that check themselves, and what is seen of others from outside."""

    @pytest.mark.parametrize("name", LANGUAGE)
    def test_the_language(self, bench: Bench, name: str) -> None:
        bench.results(LANGUAGE[name])

    @pytest.mark.parametrize("name", SYSTEM)
    def test_the_system(self, bench: Bench, name: str) -> None:
        bench.results(SYSTEM[name])

    @pytest.mark.parametrize("name", SCIENCE)
    def test_packages_that_are_there(self, bench: Bench, name: str) -> None:
        outcome = bench.run(SCIENCE[name])
        assert (outcome.status is RunStatus.SUCCEEDED) == (name in bench.expected.packages), told(outcome)

    @pytest.mark.parametrize(
        "code",
        [
            b'x = """a\n  b\\n"""\nassert x == "a\\n  b\\n"',
            b"json = Path = open = print = results = {}",
            "# -*- coding: latin-1 -*-\nassert len('é') == 1\nresults = {'ß': 1}".encode("latin-1"),
            "\ufeffresults = {'é': '日本'}".encode(),
            b"results = {}\r\nx = 1\r\n",
            b"x = 1\n" * 100_000 + b"results = {'x': x}",
        ],
        ids=["triple", "rebound", "latin-1", "bom", "crlf", "long"],
    )
    def test_source_is_taken_byte_for_byte(self, bench: Bench, code: bytes) -> None:
        outcome = bench.run(code)
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error

    def test_a_traceback_has_the_lines_of_the_program_alone(self, bench: Bench) -> None:
        code = "import json\n\ndef outer():\n    return json.loads('{')\n\nouter()\n"
        outcome = bench.run(code)
        assert outcome.error is not None
        assert (outcome.error.line, outcome.error.source_line) == (4, "    return json.loads('{')")
        for text in (outcome.error.traceback or "", outcome.stderr):
            lines = re.findall(r'File "[^"]*code\.py", line (\d+)', text)
            assert lines == ["6", "4"], text
            assert "return json.loads('{')" in text
            assert "osprey_executor" not in text

    def test_where_an_exception_comes_from_is_told(self, bench: Bench) -> None:
        outcome = bench.run("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('b') from error")
        assert "ZeroDivisionError" in outcome.stderr
        assert "direct cause" in outcome.stderr

    def test_logging_and_warnings_go_to_standard_error(self, bench: Bench) -> None:
        outcome = bench.run(
            "import logging, warnings\nlogging.warning('logged')\nwarnings.warn('warned')\nprint('out')"
        )
        assert outcome.stdout == "out\n"
        assert "WARNING:root:logged" in outcome.stderr
        assert "warned" in outcome.stderr

    def test_what_runs_at_exit_is_heard_and_its_files_are_kept(self, bench: Bench) -> None:
        code = """
import atexit, threading, time
atexit.register(lambda: (print("at exit"), open("left", "w").write("1")))
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
print("main")
"""
        outcome = bench.run(code)
        assert outcome.stdout == "main\nthread\nat exit\n"
        assert [path.name for path in outcome.artifacts] == ["left"]

    def test_an_error_in_a_thread_is_shown_and_no_failure(self, bench: Bench) -> None:
        outcome = bench.run("import threading\nthreading.Thread(target=lambda: 1 / 0).start()\nresults = {'a': 1}")
        assert (outcome.status, outcome.results) == (RunStatus.SUCCEEDED, {"a": 1})
        assert "ZeroDivisionError" in outcome.stderr
