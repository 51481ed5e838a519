"""A socket on which a gateway's clients connect."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any


class Door:
    """Accepts connections, a bounded number of them at the same time; those beyond wait in the code's own `connect`.

    Args:
        listening: where they connect.
        most: how many.
        converse: serves one, and closes it.
    """

    def __init__(
        self, listening: socket.socket, most: int, converse: Callable[[socket.socket], Coroutine[Any, Any, None]]
    ) -> None:
        self._listening, self._most, self._converse = listening, most, converse
        self._loop = asyncio.get_running_loop()
        self._served: set[asyncio.Task[None]] = set()
        self._over = False
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    async def finish(self) -> None:
        """Take the connections that wait, no more after them, and return when all have ended."""
        while self._accept():
            pass
        self._stop()
        if self._served:
            await asyncio.wait(self._served)

    async def close(self) -> None:
        """End all of them."""
        self._stop()
        for task in self._served:
            task.cancel()
        if self._served:
            await asyncio.wait(self._served)

    def _stop(self) -> None:
        self._over = True
        self._loop.remove_reader(self._listening)

    def _accept(self) -> bool:
        if len(self._served) >= self._most:
            self._loop.remove_reader(self._listening)
            return False
        try:
            near, _ = self._listening.accept()
        except OSError:
            return False
        near.setblocking(False)
        task = self._loop.create_task(self._converse(near))
        self._served.add(task)
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        if len(self._served) >= self._most and not self._over:
            self._loop.add_reader(self._listening, self._accept)
        self._served.discard(task)
