"""Whose turn it is at the engine: how many programs run at once in one service, and how many runs may be on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import ServiceBusyError


class Turns:
    """The turns of one service, first come, first served.

    A run is refused at the door or not at all: what was let in comes to its turn, also for another attempt.
    """

    def __init__(self, config: ExecutionConfig) -> None:
        self._running, self._queued = config.max_concurrent_runs, config.max_queued_runs
        self._slots = asyncio.Semaphore(self._running)
        self._inside = 0

    @contextmanager
    def admitted(self, *, always: bool = False) -> Generator[None]:
        """Let one run in for as long as the context lasts; `always`: also where there is no room.

        Raises:
            ServiceBusyError: too many are on their way.
        """
        if not always and self._inside >= self._running + self._queued:
            raise ServiceBusyError(
                f"the service is busy: {self._inside} runs are on their way already, as many as "
                f"execution.max_concurrent_runs ({self._running}) and execution.max_queued_runs ({self._queued}) "
                "allow together; nothing was started, try again when some have ended, or raise one of the two"
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

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
