"""The event loop is never kept waiting: what may block during a run does so in threads.

The clock of a busy machine tells little, so what is looked at is where the blocking calls are made.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from osprey_executor import Approve, PythonExecutorService, RunStatus

from .conftest import WRITE, OpenService, own

BLOCKING = {
    "open",
    "sqlite3.connect",
    "subprocess.Popen",
    "shutil.rmtree",
    "os.listdir",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "time.sleep",
    "socket.getaddrinfo",
}
ALLOWED = {
    # Whether it is held must be known before anything else happens: a thread would go on with it after a cancellation.
    # An empty file of the state folder, and a lock that never waits.
    ("storage/_lock.py", "open"),
    # Lines of what is not sent, or has been: in their order, and before anything else can happen. What must be on the
    # disk before a write is sent is written in a thread.
    ("control/broker/_journal.py", "open"),
    # The start of a launcher, which reads nothing.
    ("execution/local/_jail_process.py", "subprocess.Popen"),
    ("execution/local/_jail_process.py", "open"),
    # Numbers that the kernel keeps in memory, of one control group; what waits for processes is done in a thread.
    ("execution/local/_cgroup.py", "open"),
    ("execution/local/_cgroup.py", "os.mkdir"),
    ("execution/local/_cgroups.py", "open"),
    # One folder, below a folder of the service.
    ("execution/local/_staging.py", "os.mkdir"),
}
_watching: list[tuple[int, list[tuple[str, str, str]]]] = []
_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in BLOCKING:
        return
    thread, seen = _watching[-1]
    if threading.get_ident() != thread or isinstance(arguments[0], int):
        return
    frames = list(_files(sys._getframe(1)))
    if any("importlib" in name for name in frames):
        return  # a module, at its first use only
    own_frames = [name.rpartition("osprey_executor/")[2] for name in frames if "osprey_executor/" in name]
    seen.append((own_frames[0] if own_frames else frames[0], event, repr(arguments)[:200]))


def _files(frame: FrameType | None) -> Iterator[str]:
    """The files of the calls that led here, the innermost first; nothing is opened for it."""
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back


@contextmanager
def watched() -> Iterator[list[tuple[str, str, str]]]:
    """Yield the blocking calls that this thread makes meanwhile: who, what, on what."""
    if not _hooked:
        sys.addaudithook(_hook)  # it cannot be taken away again
        _hooked.append(True)
    seen: list[tuple[str, str, str]] = []
    _watching.append((threading.get_ident(), seen))
    try:
        yield seen
    finally:
        _watching.pop()


def unexpected(seen: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [call for call in seen if call[:2] not in ALLOWED]


PLOT = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.close()
print("plotted")
open("a.txt", "w").write("x")
results = {"data": open("inputs/a").read(), "many": list(range(1000))}
"""


async def test_a_run_blocks_nobody_else(service: PythonExecutorService) -> None:
    await service.run(own(PLOT, inputs={"a": b"1"}))
    with watched() as seen:
        result = await service.run(own(PLOT, inputs={"a": b"1"}))
        _ = [event async for event in service.watch(result.run_id)]
        await service.runs()
        await service.result(result.run_id)
        await service.replay(result.run_id)
    assert result.error is None
    assert unexpected(seen) == []


async def test_an_approval_blocks_nobody_else(service: PythonExecutorService) -> None:
    for _ in range(2):
        with watched() as seen:
            waiting = await service.run(own(WRITE))
            [card] = await service.pending()
            await service.result(card.run_id)
            result = await service.decide(card.run_id, Approve(card.digest))
            cancelled = await service.run(own(WRITE))
            await service.cancel(cancelled.run_id)
        assert (waiting.status, result.status) == (RunStatus.AWAITING_APPROVAL, RunStatus.SUCCEEDED)
    assert unexpected(seen) == []


async def test_opening_blocks_nobody_else(open_service: OpenService) -> None:
    async with open_service() as service:
        waiting = await service.run(own(WRITE))
    with watched() as seen:
        async with open_service() as service:
            assert [run.state for run in await service.runs()] == ["awaiting_approval"]
            assert (await service.result(waiting.run_id)).digest == waiting.digest
    assert unexpected(seen) == []


async def test_the_watch_sees_a_blocking_call() -> None:
    with watched() as seen:
        Path(__file__).read_bytes()
        await asyncio.to_thread(Path(__file__).read_bytes)
    assert [call[1] for call in seen] == ["open"]
