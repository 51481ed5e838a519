"""Kernels started in advance, each for one program, and never more at once than the configuration allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from osprey_executor.execution.container._kernel import Kernel

_QUIET = 1.0
"""Seconds after a run has begun before others are started in advance: they would take the processors from it."""
_FAILED = 30.0
"""Seconds before others are started in advance after one could not be: the server may be away."""
_AT_ONCE = 4
"""Kernels that are started at the same time: more would all be late."""


class KernelPool:
    """Hands out kernels, and takes them back to end them."""

    def __init__(
        self,
        start: Callable[[], Awaitable[Kernel]],
        end: Callable[[Kernel], Awaitable[None]],
        *,
        warm: int,
        most: int,
    ) -> None:
        """Start nothing yet.

        Args:
            start: makes one kernel ready.
            end: ends one.
            warm: kernels kept ready.
            most: kernels that there may be.
        """
        self._start, self._end = start, end
        self._warm, self._most = min(warm, most), most
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Kernel] = deque()
        self._waiting: deque[asyncio.Future[Kernel]] = deque()
        self._starting = self._living = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def ready(self) -> int:
        """Kernels that wait for a program."""
        return len(self._ready)

    async def take(self) -> Kernel:
        """Return a kernel for one program; to be given back.

        Raises:
            ContainerConnectivityError: none is to be had.
        """
        while self._ready:
            kernel = self._ready.popleft()
            if kernel.usable:
                self._tend_later()
                return kernel
            self.give_back(kernel)
        asked: asyncio.Future[Kernel] = self._loop.create_future()
        self._waiting.append(asked)
        self._tend()
        try:
            return await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled() and asked.exception() is None:
                self._hand_out(asked.result())
            raise

    def give_back(self, kernel: Kernel) -> None:
        """End a kernel, in the background."""
        self._spawn(self._bury(kernel))

    def tend_at_once(self) -> None:
        """Start kernels in advance now."""
        self._tend(in_advance=True)

    async def settled(self) -> None:
        """Wait until nothing is being started or ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """End all kernels, and wait for that."""
        self._closed = True
        if self._quiet is not None:
            self._quiet.cancel()
        for asked in self._waiting:
            asked.cancel()
        while self._ready:
            self.give_back(self._ready.popleft())
        await self.settled()

    def _tend_later(self, pause: float = _QUIET) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        if not self._closed:
            self._quiet = self._loop.call_later(pause, self.tend_at_once)

    def _tend(self, *, in_advance: bool = False) -> None:
        while not self._closed and self._living < self._most:
            wanted = sum(not asked.done() for asked in self._waiting) > self._starting
            spare = in_advance and len(self._ready) + self._starting < self._warm
            if self._starting >= _AT_ONCE or (not wanted and not spare):
                return
            self._starting += 1
            self._living += 1
            self._spawn(self._make())

    async def _make(self) -> None:
        try:
            kernel = await self._start()
        except BaseException as error:
            self._living -= 1
            asked = self._next_asked()
            if asked is not None and isinstance(error, Exception):
                asked.set_exception(error)
            self._tend_later(_FAILED)
        else:
            self._hand_out(kernel)
            if not self._waiting:
                self._tend_later()
        finally:
            self._starting -= 1
        self._tend()

    def _hand_out(self, kernel: Kernel) -> None:
        asked = self._next_asked()
        if asked is not None:
            asked.set_result(kernel)
        elif self._closed:
            self.give_back(kernel)
        else:
            self._ready.append(kernel)

    def _next_asked(self) -> asyncio.Future[Kernel] | None:
        while self._waiting:
            asked = self._waiting.popleft()
            if not asked.done():
                return asked
        return None

    async def _bury(self, kernel: Kernel) -> None:
        with contextlib.suppress(Exception):
            await self._end(kernel)
        self._living -= 1
        self._tend()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
