"""Carries connections of one run's code to the endpoints that the configuration allows, and to nothing else.

The code connects to a socket in its own network namespace; this end connects outside and copies bytes both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from osprey_executor.models import Endpoint, show_size

MOST_CONNECTIONS = 16
"""Of one run at the same time, to all endpoints together; others wait their turn in the kernel."""
_PIECE = 64 * 1024
"""As much is held of a connection, each way: the slower side slows the faster."""
_CONNECT_PATIENCE = 10.0
"""Seconds for one address of an endpoint to answer."""
_FINISH_PATIENCE = 2.0
"""Seconds to pass on what the code had sent when it ended."""
_FULL_PAUSE = 0.2
"""Seconds to wait where this process has no descriptor left."""
_BY_RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: the code must see an error, not an end of data."""


@dataclass
class _Use:
    """What went to one endpoint."""

    endpoint: Endpoint
    connections: int = 0
    sent: int = 0
    received: int = 0
    failures: int = 0
    failure: str = ""
    resolving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A name server that does not answer takes one thread, not all."""


class Relay:
    """Serves the listening sockets of one jail for as long as its run lasts."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Connect nothing yet; `endpoints` in the order of the sockets to come."""
        self._loop = asyncio.get_running_loop()
        self._uses = [_Use(endpoint) for endpoint in endpoints]
        self._listening: list[tuple[socket.socket, _Use]] = []
        self._carrying: set[asyncio.Task[None]] = set()
        self._unsent: set[asyncio.Future[None]] = set()
        """One for each connection from which data of the code may still come."""
        self._pause: asyncio.TimerHandle | None = None
        self._over = False

    def serve(self, listening: Sequence[socket.socket]) -> None:
        """Accept connections on these sockets, one for each endpoint. They stay the caller's, until `stop`."""
        self._listening = list(zip(listening, self._uses, strict=True))
        for one in listening:
            one.setblocking(False)
        self._listen()

    async def finish(self) -> None:
        """After the end of the code, take no more connections, and pass on what it has sent, for a moment."""
        for one, use in self._listening:
            while self._accept(one, use):
                pass
        self._stop_listening()
        if self._unsent:
            await asyncio.wait(self._unsent, timeout=_FINISH_PATIENCE)

    def stop(self) -> None:
        """Close every connection."""
        self._stop_listening()
        for task in self._carrying:
            task.cancel()

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each endpoint that was used."""
        return tuple(_told(use) for use in self._uses if use.connections or use.failures)

    def _listen(self) -> None:
        self._pause = None
        if not self._over:
            for one, use in self._listening:
                self._loop.add_reader(one, self._accept, one, use)

    def _stop_listening(self) -> None:
        self._over = True
        self._deafen()
        if self._pause is not None:
            self._pause.cancel()

    def _deafen(self) -> None:
        for one, _ in self._listening:
            self._loop.remove_reader(one)

    def _accept(self, listening: socket.socket, use: _Use) -> bool:
        """Take one connection; False: none waits, or there is no room for it now."""
        if len(self._carrying) >= MOST_CONNECTIONS:
            self._deafen()
            return False
        try:
            near, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError:  # no descriptor is left
            self._deafen()
            self._pause = self._pause or self._loop.call_later(_FULL_PAUSE, self._listen)
            return False
        sent = self._loop.create_future()
        task = self._loop.create_task(self._carry(near, use, sent))
        self._unsent.add(sent)
        self._carrying.add(task)
        task.add_done_callback(lambda _: self._carried(task, near, sent))
        return True

    def _carried(self, task: asyncio.Task[None], near: socket.socket, sent: asyncio.Future[None]) -> None:
        near.close()  # here, as a task that is cancelled before it began closes nothing
        _be_done(sent)
        self._unsent.discard(sent)
        full = len(self._carrying) >= MOST_CONNECTIONS
        self._carrying.discard(task)
        if full and self._pause is None:
            self._listen()

    async def _carry(self, near: socket.socket, use: _Use, sent: asyncio.Future[None]) -> None:
        near.setblocking(False)
        try:
            far = await self._connect(use)
        except OSError as error:
            use.failures += 1
            use.failure = _why(error)
            _close_by_reset(near)
            return
        use.connections += 1
        with far:
            if not await self._both_ways(near, far, use, sent):
                _close_by_reset(near)

    async def _connect(self, use: _Use) -> socket.socket:
        host, port = use.endpoint.host, use.endpoint.port
        async with use.resolving:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "it has no address")
        for family, kind, protocol, _, address in found:
            try:
                far = socket.socket(family, kind, protocol)
                try:
                    far.setblocking(False)
                    async with asyncio.timeout(_CONNECT_PATIENCE):
                        await self._loop.sock_connect(far, address)
                except BaseException:
                    far.close()
                    raise
            except OSError as error:
                failure = error
            else:
                return far
        raise failure

    async def _both_ways(self, near: socket.socket, far: socket.socket, use: _Use, sent: asyncio.Future[None]) -> bool:
        """Copy until both sides have said all; False: one of them broke off."""

        def count_sent(size: int) -> None:
            use.sent += size

        def count_received(size: int) -> None:
            use.received += size

        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outward = self._loop.create_task(self._copy(near, far, count_sent))
        inward = self._loop.create_task(self._copy(far, near, count_received))
        outward.add_done_callback(lambda _: _be_done(sent))
        ways = (outward, inward)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
        return not any(way.cancelled() or way.exception() for way in ways)

    async def _copy(self, source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
        while piece := await self._loop.sock_recv(source, _PIECE):
            await self._loop.sock_sendall(target, piece)
            count(len(piece))
            await asyncio.sleep(0)  # neither call waits while it need not, and others have their turn, too
        target.shutdown(socket.SHUT_WR)


def _be_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _close_by_reset(near: socket.socket) -> None:
    with contextlib.suppress(OSError):
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or "no answer"
    return os.strerror(error.errno)


def _told(use: _Use) -> str:
    connections = f"{use.connections} connection{'' if use.connections == 1 else 's'}"
    told = f"network: {connections} to {use.endpoint}, {show_size(use.sent)} sent, {show_size(use.received)} received"
    return f"{told}; {use.failures} failed ({use.failure})" if use.failures else told
