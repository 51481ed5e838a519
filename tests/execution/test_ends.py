"""Cancellation, many runs at once, a killed service: whatever ends a run ends all of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from osprey_executor.errors import EngineError
from osprey_executor.execution import Engine, EngineEvent, Program, open_engine
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.models import RunStatus

Count = Callable[[Engine], Awaitable[int]]
NAME = f"linger-{os.getpid()}"
LINGER = f"""
import ctypes, os, time
ctypes.CDLL(None).prctl(15, b"{NAME}", 0, 0, 0)
os.fork()
print('up', flush=True)
time.sleep(600)
"""


async def test_cancelling_the_task_ends_the_whole_tree(engine: Engine, steady: Count) -> None:
    await _settled(engine)
    before = await steady(engine)
    up = asyncio.Event()

    def watch(event: EngineEvent) -> None:
        up.set()

    task = asyncio.create_task(engine.run(Program(code=LINGER), on_event=watch))
    await up.wait()
    assert _lingering()
    task.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _lingering()
    await _settled(engine)
    assert await steady(engine) == before


async def test_cancelling_at_any_moment_leaves_nothing(engine: Engine, steady: Count) -> None:
    await _settled(engine)
    before = await steady(engine)
    for moment in (0, 0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
        task = asyncio.create_task(engine.run(Program(code=LINGER)))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not _lingering()
    await _settled(engine)
    assert await steady(engine) == before


async def test_a_launcher_that_is_killed_is_no_fault_of_the_code(engine: Engine) -> None:
    up = asyncio.Event()
    task = asyncio.create_task(engine.run(Program(code=LINGER), on_event=lambda event: up.set()))
    await up.wait()
    launchers = _launchers()
    below = [process for launcher in launchers for process in (launcher, *_below(launcher))]
    assert len(_lingering()) >= 1  # the child may not have its turn yet
    for process in launchers:
        with contextlib.suppress(ProcessLookupError):  # that of the last probe is on its way out
            os.kill(process, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"launcher of the jail ended with -9|the fork server ended"):
        await task
    await _until(lambda: not any(_alive(process) for process in below))
    assert not _lingering()


async def test_a_dead_fork_server_is_followed_by_another(engine: Engine) -> None:
    for process in _launchers():
        with contextlib.suppress(ProcessLookupError):  # the last probe's launcher is on its way out
            os.kill(process, signal.SIGKILL)
    for _ in range(3):
        outcome = await engine.run(Program(code="results = {'a': 1}"))
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert isinstance(engine, LocalEngine)
    assert engine.pool is None or await engine.pool.ready()


async def test_twenty_runs_at_once_do_not_mix(engine: Engine) -> None:
    async def one(number: int) -> None:
        code = f"import os\nopen('n', 'w').write('{number}')\nresults = {{'n': {number}, 'files': os.listdir('.')}}"
        outcome = await engine.run(Program(code=code))
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert outcome.results == {"n": number, "files": outcome.results["files"]}
        assert sorted(outcome.results["files"]) == ["inputs", "n"]
        assert outcome.artifacts[0].read_text() == str(number)

    await asyncio.gather(*(one(number) for number in range(20)))


async def test_fifty_runs_leave_no_descriptor_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: Count
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with open_engine("local", {"fork_server": {"enabled": False}}) as engine:
        await _fifty(engine, steady)
        assert not list(tmp_path.glob("osprey-executor-*/job-*"))
    assert not list(tmp_path.glob("osprey-executor-*"))


async def _fifty(engine: Engine, steady: Count) -> None:
    await engine.run(Program(code="pass"))
    before = await steady(engine)
    for _ in range(10):
        await asyncio.gather(*(engine.run(Program(code="open('f', 'w').write('x')")) for _ in range(5)))
    # Jails that are made in advance hold some; a leak would be 50.
    assert await steady(engine) <= before + 8


async def test_the_event_loop_is_not_blocked(engine: Engine) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    beating = asyncio.create_task(beat())
    code = "import time\nwith open('big', 'wb') as f: f.write(bytes(200 << 20))\ntime.sleep(0.5)"
    outcome = await engine.run(Program(code=code))
    beating.cancel()
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert beats > 20


SERVICE = """
import asyncio, os, sys
from osprey_executor.execution import Program, open_engine
CODE = "import os, time\\nos.fork()\\nprint('up', flush=True)\\ntime.sleep(600)"
async def main():
    async with open_engine("local") as engine:
        await engine.run(Program(code=CODE), on_event=lambda event: print(event.text.strip(), flush=True))
asyncio.run(main())
"""


async def test_a_killed_service_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    service = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout is not None
        assert service.stdout.readline().strip() == "up"
        await _until(lambda: len(_below(service.pid)) >= 4)  # launcher, monitor, code and its child
        below = _below(service.pid)
    finally:
        service.send_signal(signal.SIGKILL)
        service.communicate()
    _wait_until(lambda: not any(_alive(process) for process in below))
    left = list(temporary.iterdir())
    assert len(left) == 1  # nobody was there to remove it
    async with open_engine("local"), open_engine("local"):
        assert not left[0].exists()
        assert len(list(temporary.iterdir())) == 2
    assert not list(temporary.iterdir())


def _wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("still there after ten seconds")


def _alive(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


async def _settled(engine: Engine) -> None:
    """Wait until every spare is there that should be."""
    await engine.run(Program(code="pass"))
    assert isinstance(engine, LocalEngine)
    if engine.pool is not None:
        await asyncio.sleep(0.1)
        assert await engine.pool.ready()


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not so after ten seconds")


def _lingering() -> list[int]:
    found: list[int] = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                name = (path / "comm").read_text().strip()
            except OSError:
                continue
            if name == NAME and _alive(int(path.name)):
                found.append(int(path.name))
    return found


def _launchers() -> list[int]:
    return [process for process in _below(os.getpid()) if re.search(r"jail\.(launcher|server)", _command(process))]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _below(ancestor: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: list[int] = []
    for process in parents:
        at = process
        while at in parents and at != ancestor:
            at = parents[at]
        if at == ancestor and process != ancestor:
            found.append(process)
    return found
