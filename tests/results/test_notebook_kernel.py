"""Notebooks re-run in a real kernel: the same results, and nothing touched."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from osprey_executor.models import Reading, Refusal, RunStatus, Write
from osprey_executor.results import RunFolder

MakeRun = Callable[..., RunFolder]
Rerun = Callable[..., Any]
SUMMARY = "import osprey_replay\nosprey_replay.summary()"


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def rerun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a notebook in a kernel of this Python, beside the notebook, and returns it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")

    def run(path: Path, *, extra: tuple[str, ...] = (), allow_errors: bool = False, before: str = "") -> Any:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        if before:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
        for source in extra:
            notebook.cells.append(nbformat.v4.new_code_cell(source))
        client = NotebookClient(
            notebook,
            timeout=100,
            kernel_name="python3",
            allow_errors=allow_errors,
            resources={"metadata": {"path": str(path.parent)}},
        )
        client.execute(env=dict(os.environ))
        return notebook

    return run


def text_of(cell: Any) -> str:
    told = ""
    for output in cell.outputs:
        told += output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        told += re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.get("traceback", [])))
    return told


PROGRAM = '''\
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from osprey_executor.runtime import read_channel, read_channels, write_channel, WriteRefused, progress
import osprey.runtime as same
import osprey_executor.runtime

assert same is osprey_executor.runtime
text = """
%not_a_magic
!echo not a command
"""
first = read_channel("ring:x")
second = read_channel("ring:x")
orbit = read_channels(["bpm:orbit", "ring:x"])
write_channel("cor:1", 1.5)
try:
    write_channel("cor:forbidden", 2)
    refused = False
except WriteRefused as error:
    refused = str(error)
write_channel("cor:far", 9)
progress(0.5, "half")
Path("left.txt").write_text("touched")
given = Path("inputs/data.json").read_text()
import matplotlib.pyplot as plt
plt.plot(orbit["bpm:orbit"])
if __name__ == "__main__":
    results = {
        "first": first, "second": second, "orbit": orbit["bpm:orbit"] * 2, "third": orbit["ring:x"],
        "gain": context.machine.gain, "table": context["machine"]["table"], "given": json.loads(given),
        "refused": refused, "ünï": text, "nan": float("nan"),
    }
print("orbit rms", float(np.std(orbit["bpm:orbit"])))
42
'''


@pytest.fixture
def rich_run(make_run: MakeRun, figure_bytes: bytes) -> RunFolder:
    orbit = np.array([1.0, -2.0, 3.0])
    table = np.eye(2)
    return make_run(
        PROGRAM,
        results={
            "first": 1.0,
            "second": 2.0,
            "orbit": orbit * 2,
            "third": 3.0,
            "gain": 0.5,
            "table": table,
            "given": {"k": [1, 2]},
            "refused": "cor:forbidden = 2: refused: not approved",
            "ünï": "\n%not_a_magic\n!echo not a command\n",
            "nan": float("nan"),
        },
        stdout="orbit rms 2.05\n",
        figures=[figure_bytes],
        reads=[
            Reading(channel="ring:x", value=1.0),
            Reading(channel="ring:x", value=2.0),
            Reading(channel="bpm:orbit", value=orbit),
            Reading(channel="ring:x", value=3.0),
        ],
        writes=[Write(channel="cor:1", value="1.5", confirmed=True)],
        refusals=[
            Refusal(channel="cor:forbidden", value="2", reason="not approved"),
            Refusal(channel="cor:far", value="9", reason="above max_value 8", skipped=True),
        ],
        inputs={"data.json": b'{"k": [1, 2]}'},
        context={"machine": {"gain": 0.5, "table": table}},
    )


def test_a_replay_gives_the_same_results_and_touches_nothing(rich_run: RunFolder, rerun: Rerun) -> None:
    before = snapshot(rich_run.path)
    notebook = rerun(rich_run.path / "notebook.ipynb")
    assert snapshot(rich_run.path) == before
    _, start, program, summary = notebook.cells
    assert f"REPLAY of run {rich_run.run_id}" in text_of(start)
    assert "grace" in text_of(start)
    assert "ab" * 32 in text_of(start)
    assert "orbit rms" in text_of(program)
    assert "cor:far = 9: left out: above max_value 8" in text_of(program)
    assert "42" not in text_of(program), "a script shows nothing of its last expression"
    assert any("image/png" in output.get("data", {}) for output in program.outputs)
    told = text_of(summary)
    assert told.count("[as recorded]") == 10, told
    assert "Writes: as the run made them." in told
    assert not (rich_run.path / "left.txt").exists()


def test_the_notebook_of_an_attempt_and_a_moved_folder_replay_too(
    rich_run: RunFolder, rerun: Rerun, tmp_path: Path
) -> None:
    moved = tmp_path / "somewhere else" / "a run"
    moved.parent.mkdir()
    shutil.move(rich_run.path, moved)
    for path in (moved / "attempts" / "1" / "notebook.ipynb", moved / "notebook.ipynb"):
        assert text_of(rerun(path).cells[3]).count("[as recorded]") == 10


def test_it_replays_where_this_package_is_not_installed(rich_run: RunFolder, rerun: Rerun) -> None:
    hide = textwrap.dedent("""
        import sys
        class _Hidden:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "osprey_executor" and not any("replay" in p for p in sys.path):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, _Hidden())
        sys.path[:] = [p for p in sys.path if not p.endswith("/src")]
        sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
        try:
            import osprey_executor
        except ModuleNotFoundError:
            print("not installed")
    """)
    notebook = rerun(rich_run.path / "notebook.ipynb", before=hide)
    assert "not installed" in text_of(notebook.cells[0])
    assert text_of(notebook.cells[4]).count("[as recorded]") == 10


def test_cells_run_again_start_from_the_beginning_of_the_record(rich_run: RunFolder, rerun: Rerun) -> None:
    again = (rich_run.path / "code.py").read_text("utf-8")
    notebook = rerun(
        rich_run.path / "notebook.ipynb",
        extra=(again, SUMMARY, "%pwd", "1 + 1"),
    )
    assert text_of(notebook.cells[5]).count("[as recorded]") == 10
    assert "osprey-replay-" in text_of(notebook.cells[6])
    assert text_of(notebook.cells[7]) == "2", "the reader's own cells are the notebook's"
    start = notebook.cells[1].source
    twice = rerun(rich_run.path / "notebook.ipynb", extra=(start, again, SUMMARY))
    assert text_of(twice.cells[6]).count("[as recorded]") == 10


def test_other_writes_than_the_runs_are_reported_and_change_nothing(make_run: MakeRun, rerun: Rerun) -> None:
    code = (
        "from osprey_executor.runtime import write_channel, read_channel\n"
        "write_channel('c:1', 5)\nwrite_channel('c:9', 1)\nresults = {}\n"
        "try:\n    read_channel('never:read')\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    )
    folder = make_run(
        code,
        results={},
        writes=[
            Write(channel="c:1", value="4", confirmed=True),
            Write(channel="c:2", value="7", confirmed=True),
        ],
    )
    notebook = rerun(folder.path / "notebook.ipynb")
    told = text_of(notebook.cells[2])
    assert "c:1 would be set to 5; the run set it to 4" in told
    assert "c:9 would be set to 1; the run set c:2 next" in told
    assert "the run set c:2 to 7; this replay did not" in told
    assert "ControlSystemError replay: the run has no reading of never:read" in told
    assert "Writes: 3 differ from the run." in text_of(notebook.cells[3])


AS_IN_A_FILE: dict[str, tuple[bytes, dict[str, Any]]] = {
    "exit-0": (b"import sys\nresults = {'a': 1}\nsys.exit(0)\n", {"a": 1}),
    "latin-1": ("# -*- coding: latin-1 -*-\nresults = {'a': 'é'}\n".encode("latin-1"), {"a": "é"}),
    "bom": (b"\xef\xbb\xbfresults = {'a': 1}\n", {"a": 1}),
    "crlf": (b"results = {'a': 1}\r\nresults['b'] = '''x\r\ny'''\r\n", {"a": 1, "b": "x\ny"}),
    "leading-lines": (b"\n\n\nresults = {'a': 1}", {"a": 1}),
    "cell-magic-in-text": (b"'''\n%%bash\nrm -rf x\n'''\nresults = {'a': 1}\n", {"a": 1}),
    "form-feed": (b"x = 1\n\x0c\nresults = {'a': '\x0c', 'b': '\xe2\x80\xa8'}\n", {"a": "\x0c", "b": "\u2028"}),
    "clean-names": (
        b"results = {'a': __name__, 'b': 'os' in globals() or 'Path' in globals()}\n",
        {"a": "__main__", "b": False},
    ),
    "dataclass": (
        b"from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\nresults = {'a': P().x}\n",
        {"a": 1},
    ),
    "await-free": (b"import asyncio\nasync def f():\n    return 3\nresults = {'a': f.__name__}\n", {"a": "f"}),
    "names-rebound": (
        b"get_ipython = json = Path = open = print = exec = compile = None\nresults = {'a': 1}\n",
        {"a": 1},
    ),
}


def starting(folder: RunFolder) -> list[str]:
    """Return the cells that replay another run in the same kernel."""
    own = nbformat.read(folder.path / "notebook.ipynb", as_version=4).cells
    start = f"import osprey_replay\ncontext = osprey_replay.start({str(folder.path)!r}, attempt=1)"
    return [start, own[2].source, SUMMARY]


def test_the_source_runs_as_python_byte_for_byte(make_run: MakeRun, rerun: Rerun) -> None:
    cells: list[str] = []
    for name, (code, expected) in AS_IN_A_FILE.items():
        cells += starting(make_run(code, results=expected, run_id=name))
    notebook = rerun(make_run().path / "notebook.ipynb", extra=tuple(cells))
    for number, (name, (_, expected)) in enumerate(AS_IN_A_FILE.items()):
        told = text_of(notebook.cells[4 + 3 * number + 2])
        assert told.count("[as recorded]") == len(expected), (name, told)


def test_what_a_notebook_would_interpret_stays_an_error(make_run: MakeRun, rerun: Rerun) -> None:
    sources = ["%pwd\n", "!echo hello\n", "?print\n", "print?\n", "  x = 1\n", ">>> x = 1\n", "await f()\n"]
    cells: list[str] = []
    for number, code in enumerate(sources):
        cells += starting(make_run(code, run_id=f"run-{number}"))
    notebook = rerun(make_run().path / "notebook.ipynb", extra=tuple(cells), allow_errors=True)
    for number, code in enumerate(sources):
        told = text_of(notebook.cells[4 + 3 * number + 1])
        assert "SyntaxError" in told or "IndentationError" in told, (code, told)


def test_a_failed_run_fails_again_at_the_same_line(make_run: MakeRun, rerun: Rerun) -> None:
    folder = make_run("x = 0\ny = 1 / x\n", status=RunStatus.FAILED, outcome={"status": RunStatus.FAILED})
    notebook = rerun(folder.path / "notebook.ipynb", allow_errors=True)
    told = text_of(notebook.cells[2])
    assert "ZeroDivisionError" in told
    assert "y = 1 / x" in told
    assert "exec(compile" not in told, "the frames of the replay are hidden"


def test_other_results_than_the_runs_are_told(make_run: MakeRun, rerun: Rerun, tmp_path: Path) -> None:
    folder = make_run("results = {'same': 1, 'other': 3, 'new': 4}\n", results={"same": 1, "other": 2, "gone": 5})
    told = text_of(rerun(folder.path / "notebook.ipynb").cells[3])
    assert "same = 1    [as recorded]" in told
    assert "other = 3    [DIFFERS from the record]" in told
    assert "new = 4    [not in the record]" in told
    assert "gone = 5    [only in the record]" in told
    assert not list(tmp_path.glob("osprey-replay-*")), "working folders go with the kernel"


def test_control_system_clients_find_no_address(make_run: MakeRun, rerun: Rerun) -> None:
    code = "import os\nresults = {k: os.environ[k] for k in ('EPICS_CA_ADDR_LIST', 'EPICS_CA_AUTO_ADDR_LIST')}\n"
    folder = make_run(code, results={"EPICS_CA_ADDR_LIST": "", "EPICS_CA_AUTO_ADDR_LIST": "NO"})
    assert text_of(rerun(folder.path / "notebook.ipynb").cells[3]).count("[as recorded]") == 2


def test_alone_the_notebook_says_what_it_needs(rich_run: RunFolder, rerun: Rerun, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "deep" / "er" / "still" / "notebook.ipynb"
    alone.parent.mkdir(parents=True)
    shutil.copy(rich_run.path / "notebook.ipynb", alone)
    with pytest.raises(CellExecutionError, match="keep it in its run folder"):
        rerun(alone)


def test_the_helper_is_python_of_any_site() -> None:
    """What goes with a run folder imports nothing but the standard library and its own neighbours."""
    import ast

    import osprey_executor.results.osprey_replay as package

    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"), feature_version=(3, 9))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert all(name.split(".")[0] in sys.stdlib_module_names for name in names), (path, names)
