"""The time that a rehearsal has once it has tried to write."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from osprey_executor.models import Outcome


class TimeLimit:
    """Ends a rehearsal so many seconds after its first write: a program that never writes has the time of a run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._task: asyncio.Task[Outcome] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._over = False

    def begin(self) -> None:
        """Let the time run from now on."""
        self._handle = asyncio.get_running_loop().call_later(self.seconds, self._end)

    async def keep(self, run: Coroutine[Any, Any, Outcome]) -> Outcome | None:
        """Return the outcome of `run`, None where the time was over before."""
        self._task = asyncio.ensure_future(run)
        try:
            return await self._task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._over and not (current and current.cancelling()):
                return None
            raise
        finally:
            if self._handle is not None:
                self._handle.cancel()

    def _end(self) -> None:
        self._over = True
        if self._task is not None:
            self._task.cancel()
