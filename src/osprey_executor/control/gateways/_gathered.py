"""A stream on which what is said in one round of the event loop goes out in one piece, for one call of the kernel."""

from __future__ import annotations

import asyncio


class Gathered:
    """Writes to a stream at the end of each round."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Have `data` sent after what was written before; nothing where the stream is closing."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)

    def flush(self) -> None:
        """Send what waits."""
        pieces, self._pieces = self._pieces, []
        if pieces and not self._writer.transport.is_closing():
            self._writer.write(b"".join(pieces))

    async def drain(self) -> None:
        """Wait until there is room for more.

        Raises:
            ConnectionError: the far end is gone.
        """
        await self._writer.drain()
