"""The lock dies with its process; events reach who watches from elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osprey_executor.errors import StorageError
from osprey_executor.models import Stage
from osprey_executor.models.events import Event, Output, StageStarted
from osprey_executor.storage import EventLog, RunLock, follow, is_driven

HOLD = """
import sys, time, pathlib
from osprey_executor.storage import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_one_driver_at_a_time(tmp_path: Path) -> None:
    one, other = RunLock(tmp_path), RunLock(tmp_path)
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    assert is_driven(tmp_path)
    one.release()
    assert not is_driven(tmp_path)
    assert other.acquire()
    other.release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert is_driven(tmp_path)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout and child.stdout.close()
    assert not is_driven(tmp_path)


def test_a_vanished_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        RunLock(tmp_path / "gone").acquire()


async def test_events_are_followed_while_they_come(tmp_path: Path) -> None:
    ended = asyncio.Event()
    seen: list[Event] = []

    async def watch() -> None:
        async for _, event in follow(tmp_path, ended):
            seen.append(event)

    watcher = asyncio.create_task(watch())
    log = EventLog(tmp_path)
    first = StageStarted(run_id="r", stage=Stage.GENERATION, attempt=1)
    second = Output(run_id="r", stream="stdout", text="two\nlines \u202e")
    log.append(first)
    await asyncio.sleep(0.3)
    assert seen == [first]
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "cut short\n')
    log.append(second)
    ended.set()
    await asyncio.wait_for(watcher, 10)
    assert seen == [first, second]
    assert [one async for one in follow(tmp_path, ended, after=1)] == [(3, second)]
