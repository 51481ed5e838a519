"""Without a jail the same programs run, within limits, in a scrubbed environment, and end as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from osprey_executor.execution import Engine, Program, open_engine
from osprey_executor.models import Limits, RunStatus


@pytest.fixture
async def plain() -> AsyncGenerator[Engine]:
    """A local engine without containment."""
    async with open_engine("local", {"isolation": "none"}) as opened:
        yield opened


async def test_a_program_runs(plain: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET_KEY", "x")
    given = tmp_path / "given.txt"
    given.write_text("path")
    code = """
import os
open("left.txt", "w").write("x")
results = {"a": open("inputs/a").read(), "b": open("inputs/b").read(), "secret": os.environ.get("MY_SECRET_KEY"),
           "c": context.c}
"""
    outcome = await plain.run(
        Program(code=code, inputs={"a": b"bytes", "b": given}, context={"c": 1}, folder=tmp_path / "run")
    )
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results == {"a": "bytes", "b": "path", "secret": None, "c": 1}
    assert [path.name for path in outcome.artifacts] == ["left.txt"]
    assert outcome.usage.cpu_seconds > 0


@pytest.mark.parametrize(
    ("code", "status", "word"),
    [
        ("import os\nos._exit(0)", RunStatus.FAILED, "os._exit"),
        ("import sys\nsys.exit(2)", RunStatus.FAILED, "2"),
        ("import os\nos.kill(os.getpid(), 9)", RunStatus.FAILED, "SIGKILL"),
        ("import os\nos.fork()\nwhile True: pass", RunStatus.TIMED_OUT, "time limit"),
        ("x = bytearray(5 << 30)", RunStatus.FAILED, "MemoryError"),
        ("while True: print('x' * 1000)", RunStatus.FAILED, "output limit"),
    ],
)
async def test_every_end_has_its_status(plain: Engine, code: str, status: RunStatus, word: str) -> None:
    limits = Limits(timeout=3 if status is RunStatus.TIMED_OUT else 60, memory=256 << 20, output=1 << 20)
    outcome = await plain.run(Program(code=code, limits=limits))
    assert outcome.status is status
    assert word in str(outcome.error)


async def test_many_long_runs_leave_threads_for_others(plain: Engine) -> None:
    code = "import time\ntime.sleep(1)\nresults = {}"
    outcomes = await asyncio.gather(*(plain.run(Program(code=code)) for _ in range(10)))
    assert all(outcome.status is RunStatus.SUCCEEDED for outcome in outcomes)
    assert max(outcome.usage.wall_seconds for outcome in outcomes) < 60


async def test_cancelling_ends_the_group(
    plain: Engine, tmp_path: Path, steady: Callable[[Engine], Awaitable[int]]
) -> None:
    await plain.run(Program(code="pass"))
    before = await steady(plain)
    note = tmp_path / "pids"
    code = f"import os, time\nos.fork()\nopen({str(note)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    task = asyncio.create_task(plain.run(Program(code=code)))
    while not note.exists() or len(note.read_text().split()) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for process in note.read_text().split():
        while _alive(process):
            await asyncio.sleep(0.01)
    assert await steady(plain) == before


def _alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_identity_names_the_interpreter(plain: Engine) -> None:
    identity = await plain.identity()
    assert identity["isolation"] == "none"
    assert identity["interpreter"]["version"].count(".") == 2
    assert Path(identity["interpreter"]["binary"]).is_absolute()
