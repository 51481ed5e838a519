"""A p4p context that finds one server, once: so that no command is ever sent twice.

pvxs repeats a command under way as soon as its server is found again after a disconnect, and no option keeps it from
that (seen with pvxs 1.5). So each command has a context of its own, which asks for channels through us; we pass on the
first answer and no other one. Who has lost that server finds none any more.

Source: Protocol Operation and Protocol Messages, https://docs.epics-controls.org/en/latest/pv-access/Protocol-Messages.html
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

_HEADER = 8
_CONTROL, _BIG_ENDIAN = 0x01, 0x80
_SEARCH, _FOUND = 3, 4
_REPLY_PORT = slice(32, 34)
"""In a search: where the answer is to go to."""
_ADDRESS = slice(24, 40)
"""In an answer: of the server; none: that of who answers."""
_NONE = (bytes(16), bytes(10) + b"\xff\xff" + bytes(4))
_PROTOCOL = 42
"""In an answer: the length of the protocol's name, the name, then whether it is found."""
_LONGEST = 2**20

Address = tuple[str, int]


class Places:
    """Where servers are asked for: hosts are looked up here, once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.by_datagram = _resolved(environment.get("EPICS_PVA_ADDR_LIST", ""), 5076)
        self.by_stream = _resolved(environment.get("EPICS_PVA_NAME_SERVERS", ""), 5075)


class Once:
    """One command's context, and the way through which it asks.

    Args:
        make: makes a p4p context of such a configuration.
        places: whom to pass its questions on to.
    """

    def __init__(self, make: Callable[[dict[str, str]], Any], places: Places) -> None:
        self._places = places
        self._passed = False
        self._asked_by: Address | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._near, self._far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._near.bind(("127.0.0.1", 0))
        self._far.bind(("", 0))
        self._far.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._doors = [socket.create_server(("127.0.0.1", 0)) for _ in places.by_stream]
        self.context = make(
            {
                "EPICS_PVA_AUTO_ADDR_LIST": "NO",
                "EPICS_PVA_ADDR_LIST": _written(self._near),
                "EPICS_PVA_NAME_SERVERS": " ".join(map(_written, self._doors)),
            }
        )
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        """Close it all, soon; from any thread, also one of the context's own."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._stop.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()
            self.context.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        near, _ = await loop.create_datagram_endpoint(lambda: _Heard(self._ask), sock=self._near)
        far, _ = await loop.create_datagram_endpoint(lambda: _Heard(self._answer), sock=self._far)
        self._to_near = near
        self._to_far = far
        streams = [
            asyncio.create_task(self._converse(door, place))
            for door, place in zip(self._doors, self._places.by_stream, strict=True)
        ]
        await self._stop.wait()
        for one in streams:
            one.cancel()
        if streams:
            await asyncio.wait(streams)
        near.close()
        far.close()
        await asyncio.sleep(0)  # transports close their sockets in the next turn

    def _ask(self, data: bytes, sender: Address) -> None:
        if len(data) < _REPLY_PORT.stop or data[3] != _SEARCH or self._passed:
            return
        self._asked_by = sender
        order = ">" if data[2] & _BIG_ENDIAN else "<"
        question = bytearray(data)
        question[_REPLY_PORT] = struct.pack(f"{order}H", self._far.getsockname()[1])
        for place in self._places.by_datagram:
            self._to_far.sendto(question, place)

    def _answer(self, data: bytes, sender: Address) -> None:
        if self._asked_by is not None and (answer := self._first(data, sender[0])):
            self._to_near.sendto(answer, self._asked_by)

    def _first(self, data: bytes, host: str) -> bytes | None:
        """Return the answer to pass on, with its server's address in it; None: it is not to be passed on."""
        found = _PROTOCOL + 1 + (data[_PROTOCOL] if len(data) > _PROTOCOL else 0)
        if self._passed or len(data) <= found or data[3] != _FOUND or not data[found]:
            return None
        self._passed = True
        answer = bytearray(data)
        if bytes(answer[_ADDRESS]) in _NONE:
            answer[_ADDRESS] = _NONE[1][:12] + socket.inet_aton(host)
        return bytes(answer)

    async def _converse(self, door: socket.socket, place: Address) -> None:
        """Pass on what one connection to a name server says; there is no second one."""
        door.setblocking(False)
        with door:
            near, _ = await asyncio.get_running_loop().sock_accept(door)
        reader, writer = await asyncio.open_connection(sock=near)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            far_reader, far_writer = await asyncio.open_connection(*place)
            try:
                asking = asyncio.create_task(_copy(reader, far_writer))
                try:
                    await self._hear(far_reader, writer, place[0])
                finally:
                    asking.cancel()
            finally:
                far_writer.close()
        writer.close()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        while True:
            header = await reader.readexactly(_HEADER)
            (size,) = struct.unpack(">I" if header[2] & _BIG_ENDIAN else "<I", header[4:])
            size = 0 if header[2] & _CONTROL else size
            if size > _LONGEST:
                return
            message: bytes | None = header + await reader.readexactly(size)
            if header[3] == _FOUND and not header[2] & _CONTROL:
                message = self._first(message, host)
            if message:
                writer.write(message)
                await writer.drain()


class _Heard(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(data, addr)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(2**14):
            writer.write(piece)
            await writer.drain()
        writer.close()


def _resolved(addresses: str, port: int) -> Sequence[Address]:
    found: list[Address] = []
    for address in addresses.split():
        host, _, given = address.partition(":")
        with contextlib.suppress(OSError, ValueError):  # pvxs, too, goes on without a host that it does not find
            known = socket.getaddrinfo(host, int(given or port), socket.AF_INET, socket.SOCK_DGRAM)
            found.append(cast(Address, known[0][4]))
    return found


def _written(place: socket.socket) -> str:
    return "{}:{}".format(*place.getsockname())
