"""Engines for the tests of this room."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

import osprey_executor
from osprey_executor.execution import Engine, open_engine
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.models import Limits

_AS_USER = Path(__file__).with_name("run_as_user.py")


@pytest.fixture(params=["fork server", "fresh interpreter"])
async def engine(request: pytest.FixtureRequest) -> AsyncGenerator[Engine]:
    """A local engine with full isolation, in both of its ways to start a program."""
    forks = request.param == "fork server"
    async with open_engine("local", {"fork_server": {"enabled": forks}}) as opened:
        if forks:
            assert isinstance(opened, LocalEngine)
            assert opened.pool is not None
            assert await opened.pool.ready(), opened.pool.problem
        yield opened


@pytest.fixture
def limits() -> Limits:
    """Small limits, so that passing them is cheap."""
    return Limits(timeout=60, memory=256 << 20, folder=8 << 20, tmp=8 << 20, files=100, output=1 << 20, processes=64)


@pytest.fixture
def as_user(tmp_path: Path) -> Callable[..., str]:
    """Run a script under an ordinary user id, with this interpreter and this package; return what it prints.

    With `stay_root`, root stays root, but interpreter and package are where every user can reach them.
    """

    def run(script: str, *arguments: str, stay_root: bool = False, patience: float = 100) -> str:
        path = tmp_path / "as_user.py"
        path.write_text(script, encoding="utf-8")
        path.chmod(0o644)
        source = Path(osprey_executor.__file__).parent.parent
        found = subprocess.run(
            [sys.executable, str(_AS_USER), str(path), str(source), *arguments],
            capture_output=True,
            text=True,
            timeout=patience,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **({"STAY_ROOT": "1"} if stay_root else {})},
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    return run


@pytest.fixture
def descriptors() -> Callable[[], int]:
    """Count the open descriptors of this process."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def steady(descriptors: Callable[[], int]) -> Callable[[Engine], Awaitable[int]]:
    """Count the open descriptors of this process when their number has not changed for a while.

    What a run had is closed a moment after its end. Left out is one of each control group: how many of those an engine
    keeps depends on the moment.
    """

    def now(engine: Engine) -> int:
        groups = engine.groups._made if isinstance(engine, LocalEngine) and engine.groups is not None else ()
        return descriptors() - sum(group.alarm >= 0 for group in tuple(groups))

    async def count(engine: Engine) -> int:
        last, since = now(engine), time.monotonic()
        while time.monotonic() - since < 0.4:
            await asyncio.sleep(0.05)
            if (seen := now(engine)) != last:
                last, since = seen, time.monotonic()
        return last

    return count
