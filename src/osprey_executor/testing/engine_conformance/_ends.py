"""A status for each way in which a program can end by itself."""

from __future__ import annotations

import pytest

from osprey_executor.models import Limits, RunStatus
from osprey_executor.testing.engine_conformance._bench import MIB, Bench, message

GOOD = {
    "results": "results = {'a': 1}",
    "no-results": "x = 1",
    "empty": "",
    "exit-0": "import sys\nresults = {'a': 1}\nsys.exit(0)",
    "exit-none": "import sys\nresults = {'a': 1}\nsys.exit()",
    "caught": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    results = {'a': 1}",
}
RAISED = {
    "exception": ("x = 1\nx / 0", "ZeroDivisionError", 2),
    "own-exception": ("class Mine(Exception): pass\nraise Mine('why')", "Mine", 2),
    "base-exception": ("class Mine(BaseException): pass\n\nraise Mine('why')", "Mine", 3),
    "keyboard-interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
    "generator-exit": ("raise GeneratorExit", "GeneratorExit", 1),
    "group": ("raise BaseExceptionGroup('two', [ValueError(), KeyboardInterrupt()])", "BaseExceptionGroup", 1),
    "recursion": ("def f(): f()\nf()", "RecursionError", 1),
    "memory-error": ("\nraise MemoryError('mine')", "MemoryError", 2),
    "mute": ("class Mute(Exception):\n    def __str__(self): raise SystemExit(0)\nraise Mute", "Mute", 3),
    "syntax": ("x = 1\ny = (", "SyntaxError", 2),
    "indent": ("if True:\nx = 1", "IndentationError", 2),
}
KILLED = {
    "segfault": ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
    "kill-itself": ("import os\nos.kill(os.getpid(), 9)", "SIGKILL"),
    "terminate-itself": ("import os\nos.kill(os.getpid(), 15)", "SIGTERM"),
    "abort": ("import os\nos.abort()", "SIGABRT"),
}


class TestEnds:
    """Programs that end by themselves."""

    @pytest.mark.parametrize("name", GOOD)
    def test_an_end_as_it_should_be(self, bench: Bench, name: str) -> None:
        outcome = bench.run(GOOD[name])
        assert (outcome.status, outcome.error, outcome.partial) == (RunStatus.SUCCEEDED, None, False)
        assert outcome.has_results == ("results" in GOOD[name])
        assert outcome.results == ({"a": 1} if outcome.has_results else {})

    @pytest.mark.parametrize("name", RAISED)
    def test_what_is_raised_is_told_with_its_line(self, bench: Bench, name: str) -> None:
        code, kind, line = RAISED[name]
        outcome = bench.run(code)
        assert outcome.status is RunStatus.FAILED
        assert outcome.error is not None
        assert (outcome.error.type, outcome.error.line) == (kind, line)
        assert outcome.error.code == code
        assert outcome.error.source_line == code.split("\n")[line - 1]
        assert kind in outcome.stderr

    def test_what_was_there_before_an_exception_is_kept(self, bench: Bench) -> None:
        outcome = bench.run("open('f', 'w').write('1')\nprint('before')\nresults = {'a': 1}\n1 / 0")
        assert outcome.status is RunStatus.FAILED
        assert (outcome.stdout, outcome.results) == ("before\n", {"a": 1})
        assert [path.name for path in outcome.artifacts] == ["f"]

    def test_an_exit_code_is_a_failure(self, bench: Bench) -> None:
        outcome = bench.run("import sys\nsys.exit(3)")
        assert outcome.status is RunStatus.FAILED
        assert "SystemExit" in message(outcome)
        assert "3" in message(outcome)

    def test_an_exit_with_words_is_a_failure_with_these_words(self, bench: Bench) -> None:
        outcome = bench.run("import sys\nsys.exit('no beam')")
        assert outcome.status is RunStatus.FAILED
        assert "no beam" in message(outcome)
        assert "no beam" in outcome.stderr

    @pytest.mark.parametrize("code", [0, 5])
    def test_os_exit_is_a_failure_whatever_the_code(self, bench: Bench, code: int) -> None:
        outcome = bench.run(f"import os\nresults = {{'a': 1}}\nprint('before', flush=True)\nos._exit({code})")
        assert (outcome.status, outcome.partial, outcome.stdout) == (RunStatus.FAILED, True, "before\n")
        assert ("os._exit" if code == 0 else "5") in message(outcome)

    @pytest.mark.parametrize("name", KILLED)
    def test_a_signal_is_named(self, bench: Bench, name: str) -> None:
        code, word = KILLED[name]
        outcome = bench.run("print('before', flush=True)\n" + code)
        assert (outcome.status, outcome.partial, outcome.stdout) == (RunStatus.FAILED, True, "before\n")
        assert word in message(outcome)

    @pytest.mark.parametrize("value", ["[1, 2]", "None", "'text'", "type('D', (), {})()"])
    def test_results_that_are_no_dict_are_an_error(self, bench: Bench, value: str) -> None:
        outcome = bench.run(f"results = {value}")
        assert (outcome.status, outcome.has_results) == (RunStatus.FAILED, False)
        assert "ResultsError" in message(outcome)
        assert "dict" in message(outcome)

    def test_a_result_that_is_no_data_does_not_cost_the_others(self, bench: Bench) -> None:
        outcome = bench.run("results = {'good': 1, 'bad': lambda: 0}\nresults['loop'] = [results]")
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert outcome.results["good"] == 1
        assert any("bad" in note for note in outcome.notes)

    def test_results_past_their_limit_are_left_out_with_a_note(self, bench: Bench) -> None:
        code = "results = {'big': b'x' * (3 << 20), 'small': 1}"
        outcome = bench.run(code, limits=Limits(timeout=60, results=MIB))
        assert outcome.results["small"] == 1
        assert any("big" in note and "limits.results" in note for note in outcome.notes), outcome.notes

    @pytest.mark.parametrize("code", [b"x = '\xff'", b"x = 1\0", "x = '\ud800'"], ids=["bytes", "null", "surrogate"])
    def test_source_that_is_no_source_is_an_error_of_the_code(self, bench: Bench, code: str | bytes) -> None:
        outcome = bench.run(code)
        assert outcome.status is RunStatus.FAILED
        assert outcome.error is not None
        assert outcome.error.type in ("SyntaxError", "ValueError")

    def test_the_next_program_finds_a_working_engine(self, bench: Bench) -> None:
        for code in ("import os\nos.abort()", "import os\nos._exit(1)", "raise KeyboardInterrupt"):
            bench.run(code)
            assert bench.results("results = {'a': 1}") == {"a": 1}
