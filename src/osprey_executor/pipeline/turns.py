"""Whose turn it is at the engine: how many programs run at once in one service, and how many runs may be on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import ExecutionCancelledError, ServiceBusyError


class Turns:
    """The turns of one service, first come, first served.

    A run is refused at the door or not at all: what was let in comes to its turn, also for another attempt.
    """

    def __init__(self, config: ExecutionConfig) -> None:
        self._running, self._queued = config.max_concurrent_runs, config.max_queued_runs
        self._slots = asyncio.Semaphore(self._running)
        self._inside = 0
        self._under_way: dict[asyncio.Future[None], asyncio.Task[Any]] = {}
        """Who drives a run, by what is done when it has ended."""
        self._ended: set[asyncio.Task[Any]] = set()

    @contextmanager
    def admitted(self, *, always: bool = False) -> Generator[None]:
        """Let one run in for as long as the context lasts; `always`: also where there is no room.

        Raises:
            ServiceBusyError: too many are on their way.
            ExecutionCancelledError: the service was closed before the run had ended.
        """
        if not always and self._inside >= self._running + self._queued:
            raise ServiceBusyError(
                f"the service is busy: {self._inside} runs are on their way already, as many as "
                f"execution.max_concurrent_runs ({self._running}) and execution.max_queued_runs ({self._queued}) "
                "allow together; nothing was started, try again when some have ended, or raise one of the two"
            )
        task = asyncio.current_task()
        assert task is not None, "runs are driven by tasks"
        self._inside += 1
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[end] = task
        try:
            yield
        except asyncio.CancelledError:
            if task in self._ended and task.uncancel() == 0:
                raise ExecutionCancelledError("the service was closed before the run had ended") from None
            raise
        finally:
            self._inside -= 1
            del self._under_way[end]
            end.set_result(None)
            self._ended.discard(task)

    async def end_all(self) -> None:
        """End the runs that are under way, and wait for their ends; for when the service is closed."""
        ends = [end for end, task in self._under_way.items() if task is not asyncio.current_task()]
        for task in [self._under_way[end] for end in ends]:
            if not task.cancelling():  # else it is ending already, and must not be disturbed
                self._ended.add(task)
                task.cancel()
        if ends:
            await asyncio.wait(ends)

    @contextmanager
    def outside(self) -> Generator[None]:
        """Let an admitted run wait for a person without taking the place of another one."""
        self._inside -= 1
        try:
            yield
        finally:
            self._inside += 1

    @asynccontextmanager
    async def turn(self, on_wait: Callable[[], None]) -> AsyncGenerator[float]:
        """Wait for a turn and hold it; yield the seconds that it took. `on_wait` is called where it is not free."""
        begun = time.monotonic()
        waits = self._slots.locked()
        if waits:
            on_wait()
        async with self._slots:
            yield time.monotonic() - begun if waits else 0.0
