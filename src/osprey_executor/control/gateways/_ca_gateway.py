"""The Channel Access gateway of one run: searches and circuits on the sockets of its sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from osprey_executor.control.gateways._ca_circuit import VERSION, Circuit
from osprey_executor.control.gateways._ca_datagrams import writes_in
from osprey_executor.control.gateways._ca_found import Found
from osprey_executor.control.gateways._door import Door
from osprey_executor.control.gateways._link import LinkSource, Source

ca: Any = import_module("caproto")

_CIRCUITS = 64
"""At the same time; more are not accepted until one ends."""
_MOST_SEARCHES = 1000
"""Of names, by datagrams, at the same time; the others are asked for again by their clients."""
_MOST_WRITES = 1000
"""Told of at the same time: of a flood, not each."""
_LONGEST = 2**16
_DATAGRAM = 1400
_VERSION = struct.Struct(">4H2I")
_NUMBERED = 1
"""`sequenceNoIsValid` of caProto.h."""
_PATIENCE = 0.001
"""Seconds to gather answers for one datagram."""


def serve(link: socket.socket, doors: Sequence[socket.socket]) -> None:
    """Serve until the broker is gone or the program has ended.

    Args:
        link: to the broker.
        doors: TCP and UDP sockets of the server, and the UDP socket of the beacon repeater.
    """
    asyncio.run(_serve(link, doors))


async def _serve(link: socket.socket, doors: Sequence[socket.socket]) -> None:
    circuits, searches, repeater = doors
    source = await LinkSource.connect(link)
    found, port = Found(source), int(circuits.getsockname()[1])
    loop = asyncio.get_running_loop()
    _, by_datagram = await loop.create_datagram_endpoint(lambda: _Searches(source, found, port), sock=searches)
    await loop.create_datagram_endpoint(_Repeater, sock=repeater)

    async def converse(near: socket.socket) -> None:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await Circuit(source, found, port).serve(*await asyncio.open_connection(sock=near))

    door = Door(circuits, _CIRCUITS, converse)
    await source.finishing.wait()
    await door.finish()
    await by_datagram.finish(searches)
    await source.close()


class _Searches(asyncio.DatagramProtocol):
    """Answers searches by UDP, and tells of writes by UDP, which it does not do."""

    def __init__(self, source: Source, found: Found, port: int) -> None:
        self._source, self._found, self._port = source, found, port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[str]] = set()
        self._answers: dict[tuple[Any, bytes], list[bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    async def finish(self, waiting: socket.socket) -> None:
        """Hear what is left in the socket, and return when all writes are told of."""
        with contextlib.suppress(OSError):
            while True:
                self.datagram_received(*waiting.recvfrom(_LONGEST, socket.MSG_DONTWAIT))
        if self._writes:
            await asyncio.wait(self._writes)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for name, number in writes_in(data):
            if len(self._writes) < _MOST_WRITES:
                telling = asyncio.ensure_future(self._source.attempted(name, {"datagram": f"a write of {number}"}))
                self._writes.add(telling)
                telling.add_done_callback(self._told)
        try:
            commands = ca.Broadcaster(ca.SERVER).recv(data, addr)
            wanted = [(command.name, command.cid) for command in commands if isinstance(command, ca.SearchRequest)]
            sender = addr, _version(commands)
        except Exception:  # no datagram of a client; whatever its structures raise
            return
        for name, cid in wanted:
            if len(self._tasks) < _MOST_SEARCHES:
                task = asyncio.create_task(self._search(name, cid, sender))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _told(self, telling: asyncio.Task[str]) -> None:
        self._writes.discard(telling)
        if not telling.cancelled():
            telling.exception()  # without a broker there is nobody to tell

    async def _search(self, name: str, cid: int, sender: tuple[Any, bytes]) -> None:
        if not await self._found.is_there(name):
            return
        if sender not in self._answers:
            self._answers[sender] = []
            asyncio.get_running_loop().call_later(_PATIENCE, self._flush, sender)
        self._answers[sender].append(bytes(ca.SearchResponse(self._port, None, cid, VERSION)))

    def _flush(self, sender: tuple[Any, bytes]) -> None:
        addr, version = sender
        datagram = version
        for answer in self._answers.pop(sender):
            if len(datagram) + len(answer) > _DATAGRAM:
                self._transport.sendto(datagram, addr)
                datagram = version
            datagram += answer
        self._transport.sendto(datagram, addr)


def _version(commands: Sequence[Any]) -> bytes:
    """Return what an answer to these commands begins with: our version, and the number of the client's datagram.

    Answers without that number, or with another, are no success to libca: it would search at its slowest pace
    (modules/ca/src/client/searchTimer.cpp and udpiiu.cpp of EPICS Base; caproto's own answer always says number 1).
    """
    for command in commands:
        header = command.header
        if isinstance(command, ca.VersionRequest) and header.data_type == _NUMBERED:
            return _VERSION.pack(0, 0, _NUMBERED, VERSION, header.parameter1, 0)
    return _VERSION.pack(0, 0, 0, VERSION, 0, 0)


class _Repeater(asyncio.DatagramProtocol):
    """Confirms that there is a beacon repeater, so that libraries start none. There are no beacons to repeat."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        with contextlib.suppress(OSError):
            self._transport.sendto(bytes(ca.RepeaterConfirmResponse("127.0.0.1")), addr)
