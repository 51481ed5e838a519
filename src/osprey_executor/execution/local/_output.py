"""Output of the code, read as it comes and never beyond its limit."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable

_PIECE = 64 * 1024


class Capture:
    """Reads one pipe to its end, or to `most` bytes."""

    def __init__(self, descriptor: int, most: int, on_text: Callable[[str], None], on_over: Callable[[], None]) -> None:
        """Start to read `descriptor`, which must not block.

        Args:
            descriptor: stays the caller's.
            most: bytes that are kept; one more, and `on_over` is called, once, and reading stops.
            on_text: called with each piece as text.
            on_over: see `most`.
        """
        self._descriptor = descriptor
        self._most = most
        self._kept = bytearray()
        self._on_text, self._on_over = on_text, on_over
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(descriptor, self._read)
        self._reading = True

    @property
    def text(self) -> str:
        """All that was kept."""
        return self._kept.decode("utf-8", "replace")

    async def finish(self, patience: float) -> bool:
        """Wait for the end of the pipe; return False if it did not come within `patience` seconds."""
        try:
            if not self._done.done():
                await asyncio.wait_for(asyncio.shield(self._done), patience)
        except TimeoutError:
            return False
        finally:
            self.stop()
        return True

    def stop(self) -> None:
        """Read no more."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        try:
            piece = os.read(self._descriptor, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        kept = piece[: self._most - len(self._kept)]
        over = len(kept) < len(piece)
        ended = over or not piece
        self._kept += kept
        text = self._decoder.decode(kept, final=ended)
        if ended:
            self.stop()
            self._finish()
        if over:
            self._on_over()
        if text:
            self._on_text(text)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
