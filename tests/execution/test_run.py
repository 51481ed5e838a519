"""Programs run byte for byte as Python runs a script, and each end has its status."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.execution import Engine, EngineEvent, OutputChunk, Program, ProgressReport, open_engine
from osprey_executor.models import Limits, RunStatus


async def test_a_program_gives_results_output_and_artifacts(engine: Engine, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import sys
print("out", Path("inputs/data.txt").read_text(), context.gain)
print("err", file=sys.stderr)
Path("sub").mkdir()
Path("sub/a.txt").write_text("kept")
results = {"pi": 3.5, "file": __file__, "name": __name__}
"""
    outcome = await engine.run(
        Program(code=code, inputs={"data.txt": b"input"}, context={"gain": 2}, folder=tmp_path / "run")
    )
    assert outcome.status is RunStatus.SUCCEEDED
    assert outcome.error is None
    assert outcome.stdout == "out input 2\n"
    assert outcome.stderr == "err\n"
    assert outcome.results == {"pi": 3.5, "file": "/sandbox/code.py", "name": "__main__"}
    assert [path.relative_to(tmp_path) for path in outcome.artifacts] == [Path("run/artifacts/sub/a.txt")]
    assert outcome.artifacts[0].read_text() == "kept"
    assert outcome.isolation.proven
    assert outcome.usage.wall_seconds > 0
    assert outcome.usage.cpu_seconds > 0
    assert outcome.usage.max_memory > 1 << 20
    assert not outcome.partial


@pytest.mark.parametrize(
    "code",
    [
        b'x = """a\n  b\\n"""\nresults = {"x": x}',
        b"from __future__ import annotations\nresults = {}",
        b"import sys\nresults = {}\nsys.exit(0)",
        b"import sys\nsys.exit(None)",
        b"json = Path = open = print = results = {}",
        b"def f():\n    results['ran'] = True\nresults = {}\nif __name__ == '__main__':\n    f()\nassert results",
        "# -*- coding: latin-1 -*-\nresults = {'ß': 'é'}\nassert len('é') == 1".encode("latin-1"),
        "\ufeffresults = {'é': '日本'}".encode(),
        b"results = {}\r\nx = 1\r\n",
        b"x = 1\n" * 170_000 + b"results = {'x': x}",
    ],
    ids=["triple", "future", "exit-0", "exit-none", "rebound", "main", "latin-1", "bom", "crlf", "1-mb"],
)
async def test_source_is_taken_byte_for_byte(engine: Engine, code: bytes) -> None:
    outcome = await engine.run(Program(code=code))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error


async def test_an_error_is_told_with_its_line(engine: Engine) -> None:
    outcome = await engine.run(Program(code="print('before')\nx = 1 / 0\n"))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.line) == ("ZeroDivisionError", 2)
    assert outcome.error.source_line == "x = 1 / 0"
    assert outcome.error.code == "print('before')\nx = 1 / 0\n"
    assert "/sandbox/lib" not in (outcome.error.traceback or "")
    assert outcome.stdout == "before\n"


async def test_a_syntax_error_is_an_error_of_the_code(engine: Engine) -> None:
    outcome = await engine.run(Program(code="x = (\n"))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.type) == (RunStatus.FAILED, "SyntaxError")


async def test_an_exit_code_is_a_failure(engine: Engine) -> None:
    outcome = await engine.run(Program(code="import sys\nsys.exit(3)"))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error is not None
    assert "3" in outcome.error.message


async def test_os_exit_is_not_success(engine: Engine) -> None:
    outcome = await engine.run(Program(code="import os\nresults = {'a': 1}\nos._exit(0)"))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error is not None
    assert "os._exit before its results were handed over" in outcome.error.message


async def test_a_signal_is_named(engine: Engine) -> None:
    outcome = await engine.run(Program(code="import os\nos.kill(os.getpid(), 11)"))
    assert outcome.status is RunStatus.FAILED
    assert outcome.error is not None
    assert "SIGSEGV" in outcome.error.message


async def test_events_come_while_the_program_runs(engine: Engine) -> None:
    seen: list[EngineEvent] = []
    code = "from osprey_executor import runtime\nprint('a')\nruntime.progress(0.5, 'half')\nprint('b')"
    outcome = await engine.run(Program(code=code), on_event=seen.append)
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert "".join(event.text for event in seen if isinstance(event, OutputChunk)) == "a\nb\n"
    assert ProgressReport(0.5, "half") in seen


async def test_a_watcher_that_raises_ends_the_run_and_is_heard(engine: Engine) -> None:
    def watch(event: EngineEvent) -> None:
        raise LookupError("the watcher's own")

    with pytest.raises(LookupError, match="the watcher's own"):
        await engine.run(Program(code="print(1)\nimport time\ntime.sleep(600)"), on_event=watch)


@pytest.mark.parametrize("isolation", ["full", "none"])
async def test_a_plot_without_a_list_of_fonts_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    """matplotlib warns where its folder cannot be written; there is one before any list of fonts was made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code = (
        "import os\nfolder = os.environ['MPLCONFIGDIR']\n"
        "results = {'writable': os.access(folder, os.W_OK), 'holds': os.listdir(folder)}\n"
        "import matplotlib.pyplot as plt\nplt.plot([1])\n"
    )
    async with open_engine("local", {"isolation": isolation}) as engine:
        outcome = await engine.run(Program(code=code))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results == {"writable": True, "holds": []}
    assert (outcome.stderr, len(outcome.figures)) == ("", 1)


async def test_figures_are_written_in_order(engine: Engine, tmp_path: Path) -> None:
    code = "import matplotlib.pyplot as plt\nfor i in range(2):\n    plt.figure(); plt.plot([i])\n"
    outcome = await engine.run(Program(code=code, folder=tmp_path))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert [path.name for path in outcome.figures] == ["figure-001.png", "figure-002.png"]
    assert outcome.figures[0].read_bytes().startswith(b"\x89PNG")


async def test_published_results_survive_a_time_out(engine: Engine, tmp_path: Path) -> None:
    code = """
from osprey_executor import runtime
open("partial.txt", "w").write("so far")
runtime.publish({"step": 1})
print("published", flush=True)
while True:
    pass
"""
    outcome = await engine.run(Program(code=code, limits=Limits(timeout=3), folder=tmp_path))
    assert outcome.status is RunStatus.TIMED_OUT
    assert outcome.partial
    assert outcome.results == {"step": 1}
    assert outcome.stdout == "published\n"
    assert [path.name for path in outcome.artifacts] == ["partial.txt"]
    assert outcome.error is not None
    assert outcome.error.type == "ExecutionTimeoutError"
    assert "3 s" in outcome.error.message


async def test_inputs_are_read_only_and_named_as_given(engine: Engine, tmp_path: Path) -> None:
    private = tmp_path / "private.csv"
    private.write_text("1,2")
    private.chmod(0o600)
    code = """
import os
results = {"names": sorted(os.listdir("inputs"))}
for name in results["names"]:
    results[name] = open("inputs/" + name).read()
    try:
        open("inputs/" + name, "a")
    except OSError as error:
        results["refused"] = error.strerror
"""
    outcome = await engine.run(Program(code=code, inputs={"p.csv": private, "é ü.txt": b"bytes"}))
    assert outcome.results["names"] == ["p.csv", "é ü.txt"]
    assert (outcome.results["p.csv"], outcome.results["é ü.txt"]) == ("1,2", "bytes")
    assert outcome.results["refused"] in ("Read-only file system", "Permission denied")
    assert private.read_text() == "1,2"


@pytest.mark.parametrize("kind", ["missing", "folder"])
async def test_an_input_that_is_no_file_is_the_callers_error(engine: Engine, tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "missing"
    with pytest.raises(InvalidRequestError, match="data"):
        await engine.run(Program(code="pass", inputs={"data": path}))


async def test_a_folder_that_cannot_be_made_is_told_before_the_code_starts(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        await engine.run(Program(code="pass", folder=tmp_path / "file" / "run"))


async def test_a_context_that_cannot_be_encoded_is_the_callers_error(engine: Engine) -> None:
    with pytest.raises(InvalidRequestError, match="context"):
        await engine.run(Program(code="pass", context={"thing": object()}))


async def test_what_was_running_is_told_for_the_digest(engine: Engine) -> None:
    identity = await engine.identity()
    assert identity["isolation"] == "full"
    assert identity["interpreter"]["packages"]["pytest"] == pytest.__version__
    assert len(identity["seccomp"]) == len(identity["guest"]) == 64
    assert identity == await engine.identity()
