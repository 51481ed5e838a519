"""Frames of the guest's socket, read without trust: sizes are checked before anything is kept.

Frame: 4 bytes length of the header, 4 bytes number of blobs, 8 bytes length of each blob, all big-endian; then the
header (one JSON object), then the blobs.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NoReturn, TypeVar, cast

from osprey_executor.models import show_size

MOST_HEADER = 2**20
MOST_BLOBS = 100_000
_PREFIX = Struct(">II")
_LENGTH = 8
_PIECE = 1 << 14
T = TypeVar("T")


class Malformed(Exception):
    """Bytes that the guest's own code would never send: the program wrote to its socket."""


@dataclass(frozen=True)
class Frame:
    """One frame; the blobs are bytearrays so that arrays can live in them without a copy."""

    header: dict[str, Any]
    blobs: list[bytearray]
    size: int
    """Of header and blobs, in bytes."""


class _Ended(Exception):
    """The other end is closed."""


class FrameSocket:
    """Our end of the socket. One task receives; several may send."""

    def __init__(self, sock: socket.socket, most: int, admit: Callable[[dict[str, Any], int], None]) -> None:
        """Take over `sock`.

        Args:
            sock: our end.
            most: the largest size of all blobs of any frame, in bytes.
            admit: called with a header and the size of its blobs, in bytes, before any of them is read: it makes room
                for them, or raises Malformed.
        """
        sock.setblocking(False)
        self._sock = sock
        self._most, self._admit = most, admit
        self._sending = asyncio.Lock()
        self._arrived = memoryview(b"")
        """Of the next frame, or of several small ones."""

    async def receive(self) -> Frame | None:
        """Return the next frame, or None when the other end has closed, even in the middle of one.

        Raises:
            Malformed: a size is beyond its limit, or the header is not a JSON object.
        """
        try:
            size, number = _PREFIX.unpack(await self._exactly(_PREFIX.size))
            if size > MOST_HEADER:
                raise Malformed(f"a header of {show_size(size)}")
            if number > MOST_BLOBS:
                raise Malformed(f"a frame of {number} blobs")
            lengths = Struct(f">{number}Q").unpack(await self._exactly(_LENGTH * number))
            whole = sum(lengths)
            if whole > self._most:
                raise Malformed(f"a frame of {show_size(whole)}; limits.results allows {show_size(self._most)}")
            header = _parse(await self._exactly(size))
            self._admit(header, whole)
            return Frame(header, [await self._exactly(length) for length in lengths], size + whole)
        except _Ended:
            return None

    async def send(self, header: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
        """Send one frame; nothing where the other end is closed."""
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode("ascii")
        start = _PREFIX.pack(len(text), len(blobs)) + Struct(f">{len(blobs)}Q").pack(*map(len, blobs)) + text
        loop = asyncio.get_running_loop()
        async with self._sending:
            try:
                for piece in (start, *blobs):
                    await loop.sock_sendall(self._sock, piece)
            except OSError:
                return

    def shut(self) -> None:
        """Take what has arrived already, and nothing more."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other end is gone already
            return

    def close(self) -> None:
        """Close our end; the guest sees the end of the link."""
        self._sock.close()

    async def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        loop = asyncio.get_running_loop()
        at = 0
        while at < size:
            if not self._arrived and size - at < _PIECE:
                self._arrived = memoryview(await self._received(loop.sock_recv(self._sock, _PIECE)))
            if self._arrived:
                some = self._arrived[: size - at]
                view[at : at + len(some)] = some
                self._arrived = self._arrived[len(some) :]
                at += len(some)
            else:  # straight to where it belongs
                at += await self._received(loop.sock_recv_into(self._sock, view[at:]))
        return data

    async def _received(self, arriving: Coroutine[Any, Any, T]) -> T:
        try:
            got = await arriving
        except OSError:
            raise _Ended from None
        if not got:
            raise _Ended
        return got


def _parse(raw: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(raw.decode("utf-8"), parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise Malformed("a header that is not JSON") from None
    if not isinstance(header, dict):
        raise Malformed("a header that is not a JSON object")
    return cast(dict[str, Any], header)


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
