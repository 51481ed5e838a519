"""The PVAccess gateway of one run: a p4p server of our own, which knows nothing but what the run's broker tells it.

p4p binds sockets of its own, in the network of the gateway's process. The code connects to a socket in its own network,
on which `serve` accepts, and whose bytes are carried to the server. Whatever would change the machine ends at
`Source.write` or `Source.call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from importlib import import_module
from typing import Any

from osprey_executor.control.gateways._link import Source
from osprey_executor.control.gateways._pva_channels import Channels
from osprey_executor.control.gateways._pva_relay import Relay
from osprey_executor.control.gateways._pva_wire import Malformed

MOST_CONNECTIONS = 16
"""Of one run at the same time; others wait in the code's own `connect`."""
_HOST = "127.0.0.2"
"""Where the server listens: not where a client looks, so that both may have one port number on one machine."""


class PvaGateway:
    """Serves the clients of one run.

    The server tells clients the number of its port, and they take it for that of the host which they asked, so it has
    the same as the socket on which the code finds the gateway.

    Args:
        source: the channels of the run.
        listening: where the code connects.
    """

    def __init__(self, source: Source, listening: socket.socket) -> None:
        self._source, self._listening = source, listening
        self._port: int = listening.getsockname()[1]
        self._channels = Channels(source)
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        self._carrying: set[asyncio.Task[None]] = set()
        server: Any = import_module("p4p.server")
        self._provider = server.DynamicProvider("osprey-executor", self._channels)
        self._server = server.Server(providers=[self._provider], conf=_configuration(self._port), useenv=False)
        if self._server.conf()["EPICS_PVAS_SERVER_PORT"] != str(self._port):
            self._server.stop()
            raise OSError(errno.EADDRINUSE, f"the PVAccess server needs port {self._port} of {_HOST}, which is taken")

    async def serve(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        try:
            while True:
                await self._room.acquire()
                connection, _ = await loop.sock_accept(self._listening)
                task = asyncio.create_task(self._carry(connection))
                self._carrying.add(task)
                task.add_done_callback(self._carried)
        finally:
            for task in self._carrying:
                task.cancel()
            if self._carrying:
                await asyncio.wait(self._carrying)
            self._server.stop()

    async def _carry(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, Malformed):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = await asyncio.open_connection(sock=connection)
            try:
                server = await asyncio.open_connection(_HOST, self._port)
            except OSError:
                client[1].close()
                raise
            await Relay(client, server, self._channels, self._source).carry()

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._carrying.discard(task)
        self._room.release()


def _configuration(port: int) -> dict[str, str]:
    return {
        "EPICS_PVAS_INTF_ADDR_LIST": _HOST,
        "EPICS_PVAS_SERVER_PORT": str(port),
        # Nobody is looked for or told of by UDP: a client that is configured for a sandbox asks by TCP.
        "EPICS_PVAS_BROADCAST_PORT": "0",
        "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
    }
