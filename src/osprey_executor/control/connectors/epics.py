"""EPICS by Channel Access."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._addresses import UNANSWERED, checked
from osprey_executor.control.connectors._lacking import NoArchive, NoCommands
from osprey_executor.control.connectors._process import Protocol, WorkerProcess
from osprey_executor.control.connectors._protocol import Confirmation, Sample, Timeouts


class EpicsConnector(NoCommands, NoArchive):
    """Speaks Channel Access to the servers of an address list, and to no others.

    Enum channels are read as their labels and written as label or number. `timestamp` is the server's.

    Args:
        address_list: `host` or `host:port`, as EPICS_CA_ADDR_LIST has them; the variable itself is not looked at.
        name_servers: the same, asked by TCP instead of UDP.
        timeouts: how long to wait for what.
    """

    def __init__(
        self,
        address_list: Sequence[str],
        *,
        name_servers: Sequence[str] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        extra: str = "epics",
    ) -> None:
        self.addresses = checked("epics", "5064", address_list, name_servers)
        environment = {
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_ADDR_LIST": " ".join(address_list) or UNANSWERED,
            "EPICS_CA_NAME_SERVERS": " ".join(name_servers),
            # There is no beacon repeater: a server that comes back is found by searching alone, so search each minute.
            "EPICS_CA_MAX_SEARCH_PERIOD": "60",
        }
        protocol = Protocol("Channel Access", "osprey_executor.control.connectors._ca_worker", extra)
        self._process = WorkerProcess(protocol, environment, timeouts)

    async def connect(self) -> None:
        """Start the Channel Access process.

        Raises:
            MissingExtraError: the extra `epics` is not installed.
            ControlSystemError: it does not start.
        """
        await self._process.start()

    async def close(self) -> None:
        """End the Channel Access process."""
        await self._process.stop()

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel, all asked for at once.

        Raises:
            ChannelDisconnectedError: a channel is unknown or disconnected.
        """
        return await self._process.read(channels)

    def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield the present sample of each channel, then each change of value or alarm.

        Raises:
            ChannelDisconnectedError: a channel is unknown, or was disconnected.
        """
        return self._process.monitor(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put with completion (a put-callback), then read back.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation came.
        """
        return await self._process.write(channel, value)
