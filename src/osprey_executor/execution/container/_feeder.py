"""Bytes that came from the kernel on their way into a local socket, whose reader may be slower."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable


class Feeder:
    """Writes one socket in the background."""

    def __init__(self, sock: socket.socket, on_size: Callable[[int], None], most: int | None = None) -> None:
        """Own `sock`.

        Args:
            sock: closed in the end.
            on_size: told how many more bytes wait here, or fewer.
            most: bytes after which the rest is thrown away, as nobody reads it.
        """
        sock.setblocking(False)
        self._sock, self._on_size, self._left = sock, on_size, most
        self._pieces: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._over = False
        self._task = asyncio.get_running_loop().create_task(self._feed())

    def put(self, piece: bytes) -> None:
        """Write a piece, soon."""
        if self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        if piece and not self._task.done():
            self._pieces.append(piece)
            self._on_size(len(piece))
            self._more.set()

    async def finish(self) -> None:
        """Wait until all is written or nobody reads any more; then close."""
        self._over = True
        self._more.set()
        await asyncio.wait({self._task})

    def stop(self) -> None:
        """Write nothing more."""
        self._task.cancel()

    async def _feed(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pieces or not self._over:
                while self._pieces:
                    piece = self._pieces.popleft()
                    await loop.sock_sendall(self._sock, piece)
                    self._on_size(-len(piece))
                self._more.clear()
                if not self._over:
                    await self._more.wait()
        except OSError:  # the reader is gone
            pass
        finally:
            self._on_size(-sum(map(len, self._pieces)))
            self._pieces.clear()
            self._sock.close()
