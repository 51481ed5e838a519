"""`run --detach` and `watch`: a run in a process of its own, on the real service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osprey_executor.interfaces.cli import detach

from .terminal import Open, terminals
from .test_end_to_end import COMMAND, STEP, call, document

HOLD = """\
import time
import matplotlib.pyplot as plt
from osprey_executor import runtime
print('the beginning', flush=True)
runtime.progress(0.5, 'half of it')
plt.plot([1, 2])
plt.close()
time.sleep(90)
"""
SHORT = HOLD.replace("time.sleep(90)", "time.sleep(3)\nprint('the end')\nresults = {'answer': 42}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with programs; whatever still runs at the end is cancelled."""
    here = tmp_path / "here"
    here.mkdir()
    for name, text in (("hold.py", HOLD), ("short.py", SHORT), ("step.py", STEP)):
        (here / name).write_text(text)
    (here / "writes.yml").write_text("control_system: {type: mock, writes_enabled: true}\n")
    monkeypatch.chdir(here)
    yield here
    for run in document(call("runs", "--json")):
        call("cancel", run["run_id"])


@pytest.fixture
def terminal() -> Iterator[Open]:
    with terminals(COMMAND) as opened:
        yield opened


def detached(*arguments: str) -> str:
    ended = call("run", "--detach", *arguments)
    assert (ended.returncode, b"osprey-executor watch" in ended.stderr) == (0, True)
    return ended.stdout.decode().strip()


def state_of(run: str) -> str:
    return str(next(one["state"] for one in document(call("runs", "--json")) if one["run_id"] == run))


def processes_of(home: Path) -> list[int]:
    """The processes of the detached runs of a state folder."""
    mine = f"OSPREY_EXECUTOR_HOME={home}".encode()
    return [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit()
        and b"osprey_executor.interfaces.cli.detached" in _read(one / "cmdline").split(b"\0")
        and mine in _read(one / "environ").split(b"\0")
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def until_gone(process: int) -> None:
    while Path(f"/proc/{process}").exists() and b" Z " not in _read(Path(f"/proc/{process}/stat")):
        time.sleep(0.1)  # the test's own time limit ends this


def test_it_goes_on_alone_and_is_watched_from_its_beginning(home: Path) -> None:
    run = detached("--code", "short.py")
    [process] = processes_of(home)
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    session, terminal = stat[3], stat[4]
    assert (session, terminal) == (str(process), "0")
    streams = {os.readlink(f"/proc/{process}/fd/{number}") for number in range(3)}  # noqa: PTH115
    assert streams == {os.devnull}
    ended = call("watch", run[:-1], "--json")
    assert ended.returncode == 0
    said = document(ended)
    assert (said["run_id"], said["status"], said["results"]) == (run, "succeeded", {"answer": 42})
    told = ended.stderr.decode()
    places = [told.index(words) for words in ("the beginning", "half of it", "figure 1: ", "the end")]
    assert places[0] < places[-1]
    until_gone(process)
    assert call("watch", run).returncode == 0


def test_what_is_watched_is_shown_while_it_goes_on(terminal: Open) -> None:
    run = detached("--code", "hold.py")
    tty = terminal("watch", run)
    for words in ("the beginning", "figure 1: "):
        tty.child.expect(words)
    tty.child.sendintr()
    assert tty.end() == 130
    assert state_of(run) == "running"
    again = terminal("watch", run)
    again.child.expect("the beginning")
    ended = call("cancel", run, "--json")
    assert (ended.returncode, document(ended)["status"]) == (0, "cancelled")
    assert again.end() == 8


def test_the_end_of_the_terminal_is_not_its_end(terminal: Open, home: Path) -> None:
    tty = terminal("run", "--detach", "--code", "short.py")
    assert tty.end() == 0
    run = next(line for line in tty.screen.split() if line[:2] == "20")
    assert call("watch", run).returncode == 0
    assert state_of(run) == "succeeded"


def test_its_own_end_is_the_end_of_the_run(home: Path) -> None:
    run = detached("--code", "hold.py")
    [process] = processes_of(home)
    os.kill(process, signal.SIGTERM)
    until_gone(process)
    assert state_of(run) == "cancelled"


def test_the_id_as_json_and_inputs_from_pipes(folder: Path) -> None:
    (folder / "data.csv").write_text("1,2")
    code = "results = {'data': open('inputs/data.csv').read(), 'raw': open('inputs/stdin', 'rb').read()}"
    (folder / "read.py").write_text(code)
    arguments = ("--code", "read.py", "--input", "data.csv", "--input", "-")
    ended = call("run", "--detach", *arguments, "--json", stdin=b"\x00\xff")
    said = document(ended)
    assert (ended.returncode, said["state"]) == (0, "running")
    (folder / "data.csv").unlink()  # it was copied before the id was told
    results = document(call("watch", said["run_id"], "--json"))["results"]
    assert results == {"data": "1,2", "raw": {"$type": "bytes", "size": 2, "base64": "AP8="}}


def test_where_somebody_must_be_asked_it_waits_and_goes_on() -> None:
    run = detached("--code", "step.py", "--config", "writes.yml")
    watched = call("watch", run, "--json")
    assert (watched.returncode, document(watched)["status"]) == (3, "awaiting_approval")
    ended = call("approve", run, "--digest", document(watched)["digest"], "--json")
    assert (ended.returncode, document(ended)["effects"]) == (0, "written")


NO_SERVER = "execution: {execution_method: container, container: {jupyter_port: 1}}"


@pytest.mark.parametrize(
    ("arguments", "config", "returned", "kind"),
    [
        (("--code", "gone.py"), "", 2, "InvalidRequestError"),
        (("--code", "hold.py", "--input", "gone.csv"), "", 2, "InvalidRequestError"),
        (("",), "", 2, "InvalidRequestError"),
        (("a task",), "", 2, "ConfigurationError"),
        (("--code", "hold.py"), "execution: {timeout: never}", 2, "ConfigurationError"),
        (("--code", "hold.py"), NO_SERVER, 6, "ContainerConnectivityError"),
    ],
)
def test_what_keeps_it_from_beginning_is_told_at_once(
    folder: Path, arguments: tuple[str, ...], config: str, returned: int, kind: str
) -> None:
    (folder / "config.yml").write_text(config)
    ended = call("run", "--detach", *arguments, "--json")
    assert ended.returncode == returned
    assert document(ended)["error"]["type"] == kind
    assert ended.stderr.startswith(b"osprey-executor: ")
    (folder / "config.yml").unlink()
    assert document(call("runs", "--json")) == []


def test_a_process_that_cannot_even_start_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detach, "_CHILD", "no_such_module")
    assert detach.detached(detach.Order("a task", None, {}, None), as_json=True) == 6
    said = capfd.readouterr()
    assert json.loads(said.out)["error"]["type"] == "EngineError"
    assert "no_such_module" in said.err


def test_a_module_of_the_working_folder_takes_nobodys_place(folder: Path) -> None:
    (folder / "json.py").write_text("raise SystemExit('taken in')")
    run = detached("--code", "step.py", "--config", "writes.yml")
    assert call("watch", run).returncode == 3


def test_whoever_leaves_before_it_has_begun_leaves_no_run(home: Path) -> None:
    starting = subprocess.Popen([COMMAND, "run", "--detach", "--code", "hold.py"], stdout=subprocess.DEVNULL)
    while not (found := processes_of(home)):
        time.sleep(0.01)
    [process] = found
    os.kill(process, signal.SIGSTOP)  # it has begun nothing yet
    starting.send_signal(signal.SIGINT)
    assert starting.wait(60) == 130
    os.kill(process, signal.SIGCONT)
    until_gone(process)
    assert {one["state"] for one in document(call("runs", "--json"))} <= {"cancelled"}
    assert not (home / "logs").exists()


def test_an_unknown_run_cannot_be_watched() -> None:
    ended = call("watch", "nothing-like-it", "--json")
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["type"] == "RunNotFoundError"
    assert b"osprey-executor runs" in ended.stderr
