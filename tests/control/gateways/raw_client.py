"""Bytes of PVAccess without a library: what a hostile program can send, and what a polite one never does."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

_NULL = b"\xff"
"""No type at all; as a pvRequest it asks for everything."""


def packed(command: int, payload: bytes, *, flags: int = 0, magic: int = 0xCA, size: int | None = None) -> bytes:
    order = ">" if flags & 0x80 else "<"
    return struct.pack(f"{order}BBBBI", magic, 2, flags, command, len(payload) if size is None else size) + payload


def text(words: str) -> bytes:
    return bytes([len(words)]) + words.encode()


HELLO = packed(1, struct.pack("<IHH", 0x10000, 0x7FFF, 0) + text("anonymous") + _NULL)


def create(*names: str, first: int = 1) -> bytes:
    asked = (struct.pack("<I", first + number) + text(name) for number, name in enumerate(names))
    return packed(7, struct.pack("<H", len(names)) + b"".join(asked))


def operate(command: int, sid: int, ioid: int, subcommand: int, rest: bytes = _NULL, order: str = "<") -> bytes:
    payload = struct.pack(f"{order}IIB", sid, ioid, subcommand) + rest
    return packed(command, payload, flags=0x80 if order == ">" else 0)


class RawClient:
    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> RawClient:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.send(HELLO)
        await self.answer(9)
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def send(self, *messages: bytes) -> None:
        self._writer.write(b"".join(messages))

    def pause(self) -> None:
        """Read nothing more."""
        self._writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]

    async def takes(self, messages: bytes) -> bool:
        """Send; False: the far end has stopped to read, and buffers are full."""
        self.send(messages)
        try:
            await asyncio.wait_for(self._writer.drain(), 2)
        except TimeoutError:
            self._writer.transport.abort()
            return False
        return True

    async def answer(self, command: int) -> bytes:
        """Return the payload of the next answer to `command`."""
        async with asyncio.timeout(20):
            while True:
                head = await self._reader.readexactly(8)
                control, size = head[2] & 1, int.from_bytes(head[4:], "big" if head[2] & 0x80 else "little")
                payload = b"" if control else await self._reader.readexactly(size)
                if not control and head[3] == command:
                    return payload

    async def channel(self, name: str, cid: int = 1) -> int:
        """Return the server's number of a channel."""
        self.send(create(name, first=cid))
        answered, sid = struct.unpack_from("<II", await self.answer(7))
        assert answered == cid
        return sid

    async def closed(self) -> bool:
        """Whether the far end hangs up, after whatever it still says."""
        async with asyncio.timeout(20):
            try:
                while await self._reader.read(2**16):
                    pass
            except ConnectionError:
                pass
        return True
