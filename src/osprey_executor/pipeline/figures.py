"""Figures on their way to whoever watches: written into the run folder while the program goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from osprey_executor.errors import StorageError
from osprey_executor.execution import FigureDrawn
from osprey_executor.models.events import Figure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.results import watermarked

_GAP = 1.0
"""Seconds between two writings: a program that sends a figure over and over must not keep the disk busy."""
_log = logging.getLogger(__name__)


class LiveFigures:
    """Writes the first figures at once, of a flood only the latest ones, and always the last ones.

    Args:
        rooms: of the run.
        pretended: whether what the program sees from now on is of a rehearsal, so that its figures are to be marked.
    """

    def __init__(self, rooms: Rooms, pretended: Callable[[], bool]) -> None:
        self._rooms = rooms
        self._pretended = pretended
        self._waiting: dict[int, tuple[bytearray, bool]] = {}
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def take(self, drawn: FigureDrawn) -> None:
        """Take one figure; in the event loop, without waiting for the disk."""
        self._waiting[drawn.number] = drawn.png, self._pretended()
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
            for number, (png, pretended) in batch.items():
                try:
                    shown = await asyncio.to_thread(watermarked, png) if pretended else png
                    path = await asyncio.to_thread(self._rooms.folder.save_figure, number, shown)
                except (
                    StorageError,
                    ValueError,
                ) as error:
                    # The result tells of a full disk; a look ahead is worth no run.
                    _log.warning("figure %s of run %s cannot be shown yet: %s", number, self._rooms.run_id, error)
                else:
                    self._rooms.emit(Figure(run_id=self._rooms.run_id, number=number, path=path))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _GAP)


@asynccontextmanager
async def live_figures(rooms: Rooms, pretended: Callable[[], bool]) -> AsyncGenerator[LiveFigures]:
    """Yield what takes the figures of one execution; at the end all of them are written, also after a cancellation."""
    figures = LiveFigures(rooms, pretended)
    try:
        yield figures
    finally:
        await asyncio.shield(figures.settle())
