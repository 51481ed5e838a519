"""The PVAccess gateway of one run: a p4p server of our own, which knows nothing but what the run's broker tells it.

p4p binds sockets of its own, in the network of the gateway's process. The code connects to a socket in its own network,
whose connections are carried to the server. Whatever would change the machine ends at
`Source.write` or `Source.call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from osprey_executor.control.gateways._door import Door
from osprey_executor.control.gateways._link import LinkSource, Source
from osprey_executor.control.gateways._pva_channels import Channels
from osprey_executor.control.gateways._pva_relay import Relay
from osprey_executor.control.gateways._pva_wire import Malformed

p4p: Any = import_module("p4p.server")

MOST_CONNECTIONS = 64
"""At the same time."""
_HOST = "127.0.0.2"
"""Where the server listens: not where a client looks, so that both may have one port number on one machine."""


def serve(link: socket.socket, doors: Sequence[socket.socket]) -> None:
    """Serve until the broker is gone or the program has ended.

    Args:
        link: to the broker.
        doors: where the code connects.
    """
    asyncio.run(_serve(link, *doors))


async def _serve(link: socket.socket, listening: socket.socket) -> None:
    source = await LinkSource.connect(link)
    gateway = PvaGateway(source, listening)
    await source.finishing.wait()
    await gateway.finish()
    await source.close()


class PvaGateway:
    """Serves the clients of one run, from when it is made on.

    The server tells clients the number of its port, and they take it for that of the host which they asked, so it has
    the same as the socket on which the code finds the gateway.

    Args:
        source: the channels of the run.
        listening: where the code connects.
    """

    def __init__(self, source: Source, listening: socket.socket) -> None:
        self._source = source
        self._port: int = listening.getsockname()[1]
        self._channels = Channels(source)
        self._provider = p4p.DynamicProvider("osprey-executor", self._channels)
        self._server = p4p.Server(providers=[self._provider], conf=_configuration(self._port), useenv=False)
        if self._server.conf()["EPICS_PVAS_SERVER_PORT"] != str(self._port):
            self._server.stop()
            raise OSError(errno.EADDRINUSE, f"the PVAccess server needs port {self._port} of {_HOST}, which is taken")
        self._door = Door(listening, MOST_CONNECTIONS, self._converse)

    async def finish(self) -> None:
        """Take what clients have sent, and end when they all have closed and their writes are at the broker."""
        await self._door.finish()
        await self._channels.finish()
        self._server.stop()

    async def close(self) -> None:
        """End at once."""
        await self._door.close()
        self._server.stop()

    async def _converse(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = await asyncio.open_connection(sock=connection)
        try:
            server = await asyncio.open_connection(_HOST, self._port)
        except OSError:
            client[1].transport.abort()
            return
        with contextlib.suppress(Malformed):
            await Relay(client, server, self._channels, self._source).carry()


def _configuration(port: int) -> dict[str, str]:
    return {
        "EPICS_PVAS_INTF_ADDR_LIST": _HOST,
        "EPICS_PVAS_SERVER_PORT": str(port),
        # Nobody is looked for or told of by UDP: a client that is configured for a sandbox asks by TCP.
        "EPICS_PVAS_BROADCAST_PORT": "0",
        "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
    }
