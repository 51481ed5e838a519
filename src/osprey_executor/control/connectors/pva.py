"""EPICS by PVAccess."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._addresses import UNANSWERED, checked
from osprey_executor.control.connectors._lacking import NoArchive
from osprey_executor.control.connectors._process import Protocol, WorkerProcess
from osprey_executor.control.connectors._protocol import Confirmation, Sample, Timeouts

_PROTOCOL = Protocol("PVAccess", "osprey_executor.control.connectors._pva_worker", "pva")


class PvaConnector(NoArchive):
    """Speaks PVAccess to the servers of an address list, and to no others.

    Scalars, arrays, states (NTEnum) and tables (NTTable) are read; images (NTNDArray) are refused. A boolean is a state
    with the labels `false` and `true`. Commands are RPC: their arguments go as an NTURI.

    Args:
        address_list: `host` or `host:port`, as EPICS_PVA_ADDR_LIST has them; the variable itself is not looked at.
        name_servers: the same, asked by TCP instead of UDP.
        timeouts: how long to wait for what.
    """

    def __init__(
        self,
        address_list: Sequence[str],
        *,
        name_servers: Sequence[str] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self.addresses = checked("pva", "5076", address_list, name_servers)
        environment = {
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_ADDR_LIST": " ".join(address_list) or UNANSWERED,
            "EPICS_PVA_NAME_SERVERS": " ".join(name_servers),
        }
        self._process = WorkerProcess(_PROTOCOL, environment, timeouts)

    async def connect(self) -> None:
        """Start the PVAccess process.

        Raises:
            MissingExtraError: the extra `pva` is not installed.
            ControlSystemError: it does not start.
        """
        await self._process.start()

    async def close(self) -> None:
        """End the PVAccess process."""
        await self._process.stop()

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel, all asked for at once.

        Raises:
            ChannelDisconnectedError: a channel is unknown or disconnected.
            ControlSystemError: a channel holds what is not read.
        """
        return await self._process.read(channels)

    def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield the present sample of each channel, then each change.

        Raises:
            ChannelDisconnectedError: a channel is unknown, or was disconnected.
        """
        return self._process.monitor(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put, wait until the record has been processed, then read back.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation came.
        """
        return await self._process.write(channel, value)

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Run a command (RPC) and return its answer: a value, or a dict of the columns of a table.

        Raises:
            ControlSystemError: the server says that it failed.
            OutcomeUnknownError: no answer came.
        """
        return await self._process.call(channel, arguments)
