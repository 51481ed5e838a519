"""The stream to a connector's child: replies by their number, monitored samples to whoever monitors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

from osprey_executor.control.connectors._frames import Unpacker, pack

Message = dict[str, Any]


class Link(asyncio.Protocol):
    """One stream. After its end everything expected fails with ConnectionError."""

    def __init__(self) -> None:
        self.hello: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.monitors: dict[int, Callable[[Message], None]] = {}
        self.ended = False
        self._gone = asyncio.Event()
        self._unpacker = Unpacker()
        self._expected: dict[int, asyncio.Future[Message]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._unpacker.feed(data):
                self._take(message)
        except (ValueError, KeyError, TypeError):
            self._end()  # a broken frame: nothing after it can be trusted

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._gone.set()

    def send(self, message: Message) -> None:
        """Send a message, or drop it where nobody is left to take it."""
        if self._transport and not self.ended:
            self._transport.write(pack(message))

    def expect(self, number: int) -> asyncio.Future[Message]:
        """Return what will be the reply of that number."""
        self._expected[number] = asyncio.get_running_loop().create_future()
        return self._expected[number]

    def forget(self, number: int) -> None:
        """Expect that reply no more."""
        self._expected.pop(number, None)

    async def close(self) -> None:
        """End the stream."""
        if self._transport:
            self._transport.abort()
            await self._gone.wait()

    def _take(self, message: Message) -> None:
        if "ready" in message:
            if not self.hello.done():
                self.hello.set_result(message)
            return
        if (monitor := self.monitors.get(message["id"])) is not None:
            monitor(message)
        elif (reply := self._expected.get(message["id"])) is not None and not reply.done():
            reply.set_result(message)

    def _end(self) -> None:
        if self.ended:
            return
        self.ended = True
        if not self.hello.done():
            self.hello.set_exception(ConnectionError())
            self.hello.exception()  # whoever started us may have gone
        for reply in self._expected.values():
            if not reply.done():
                reply.set_exception(ConnectionError())
        for monitor in list(self.monitors.values()):
            monitor({"index": -1})
        with contextlib.suppress(AttributeError):
            cast(asyncio.Transport, self._transport).abort()
