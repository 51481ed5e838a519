"""Figures on their way to whoever watches: written into the run folder while the program goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from osprey_executor.errors import StorageError
from osprey_executor.execution import FigureDrawn
from osprey_executor.models.events import Figure
from osprey_executor.pipeline.rooms import Rooms

_GAP = 1.0
"""Seconds between two writings: a program that sends a figure over and over must not keep the disk busy."""
_log = logging.getLogger(__name__)


class LiveFigures:
    """Writes the first figures at once, of a flood only the latest ones, and always the last ones."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._waiting: dict[int, bytearray] = {}
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, drawn: FigureDrawn) -> None:
        """Take one figure; in the event loop, without waiting for the disk."""
        self._waiting[drawn.number] = drawn.png
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def settle(self) -> None:
        """Write what still waits.

        Raises:
            StorageError: the events of the run cannot be written.
        """
        self._ending.set()
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            for number, png in batch.items():
                try:
                    path = await asyncio.to_thread(self._rooms.folder.save_figure, number, png)
                except StorageError as error:  # the result tells of a full disk; a look ahead is worth no run
                    _log.warning("figure %s of run %s cannot be shown yet: %s", number, self._rooms.run_id, error)
                else:
                    self._rooms.emit(Figure(run_id=self._rooms.run_id, number=number, path=path))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _GAP)


@asynccontextmanager
async def live_figures(rooms: Rooms) -> AsyncGenerator[LiveFigures]:
    """Yield what takes the figures of one execution; at the end all of them are written, also after a cancellation."""
    figures = LiveFigures(rooms)
    try:
        yield figures
    finally:
        await asyncio.shield(figures.settle())
