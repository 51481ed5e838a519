"""However the process of a run ends, nothing of the run is left on the machine, and its record is true."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_end_to_end import COMMAND, call, document

# Children that go far away and hear nothing, each with a name that no other process of the machine has.
STUBBORN = """\
import os, signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import time; time.sleep(300)", "MARKER"]
children = [subprocess.Popen(sleep, start_new_session=away) for away in (False, True)]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, sleep)
    os._exit(0)
os.wait()
print("begun", flush=True)
signal.pause()
"""


class Started:
    """One command of the command line, whose run has begun."""

    def __init__(self, tmp_path: Path) -> None:
        self.temporary = tmp_path / "tmp"
        self.temporary.mkdir()
        self.marker = f"marker-{secrets.token_hex(8)}"
        program = tmp_path / "stubborn.py"
        program.write_text(STUBBORN.replace("MARKER", self.marker))
        self.process = subprocess.Popen(
            [COMMAND, "run", "--code", str(program), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            preexec_fn=_hear_all,
        )

    def begin(self) -> None:
        """Wait until the program has all its children."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.strip() == b"begun":
                break
        _until(lambda: len(self.left()) == 3)

    def left(self) -> list[int]:
        """The processes of the program that are there."""
        return [
            int(one.name)
            for one in Path("/proc").iterdir()
            if one.name.isdigit() and self.marker.encode() in _arguments(one)
        ]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def run(self) -> dict[str, Any]:
        [run] = document(call("runs", "--json"))
        return dict(document(call("show", run["run_id"], "--json")))


def _hear_all() -> None:
    """The tests themselves may run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _arguments(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _namespaces() -> set[str]:
    """The mount namespaces of the machine: a mount of a jail lives as long as its own."""
    return {space for process in Path("/proc").iterdir() if (space := _namespace(process))}


def _namespace(process: Path) -> str | None:
    try:
        return os.readlink(process / "ns" / "mnt")  # noqa: PTH115 - it is no path
    except OSError:
        return None


def _descendants(pid: int) -> list[Path]:
    """Who was begun by a process, or by who was; other tests begin and end processes meanwhile."""
    parents: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(process.name)] = int((process / "stat").read_bytes().rpartition(b")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return [Path("/proc") / str(one) for one in found[1:]]


def _until(true: Any) -> None:
    while not true():
        time.sleep(0.05)  # the test's own time limit ends this


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A run that has begun; at the end its process is ended, whatever the test did."""
    one = Started(tmp_path)
    try:
        one.begin()
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_whole_tree_and_the_record_is_true(started: Started, number: signal.Signals) -> None:
    assert started.end(number) == 130
    assert started.left() == []
    assert list(started.temporary.iterdir()) == []
    run = started.run()
    assert (run["status"], run["effects"], run["stdout"]) == ("cancelled", "none", "begun\n")


def test_kill_9_leaves_no_process_and_no_mount_and_the_next_one_clears_up(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    jails = {space for one in _descendants(started.process.pid) if (space := _namespace(one))}
    jails.discard(str(_namespace(Path("/proc/self"))))
    assert jails
    assert started.end(signal.SIGKILL) == -9
    _until(lambda: started.left() == [] and not jails & _namespaces())
    [left] = started.temporary.iterdir()
    run = started.run()
    assert (run["status"], run["effects"], run["stdout"]) == ("failed", "none", "begun\n")
    assert "died" in run["error"]["message"]
    monkeypatch.setenv("TMPDIR", str(started.temporary))
    assert call("run", "--code", "-", stdin=b"pass").returncode == 0
    assert not left.exists()
    assert list(started.temporary.iterdir()) == []
