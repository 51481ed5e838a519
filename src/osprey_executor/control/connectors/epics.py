"""EPICS by Channel Access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._ca_process import ChannelAccessProcess
from osprey_executor.control.connectors._protocol import Confirmation, Sample, Timeouts
from osprey_executor.errors import ConfigurationError

_UNANSWERED = "127.0.0.1:9"
"""The discard port. With an empty address list some clients broadcast; with this one nobody is asked by UDP."""


class EpicsConnector:
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
        self.addresses = (*address_list, *name_servers)
        for address in self.addresses:
            if not address.strip() or any(char.isspace() for char in address):
                raise ConfigurationError(f"{address!r} is not an address: give host or host:port")
        if not self.addresses:
            raise ConfigurationError(
                "control_system.epics.address_list is empty: name the hosts that are to be asked for channels, "
                'for example ["127.0.0.1:5064"]'
            )
        environment = {
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_ADDR_LIST": " ".join(address_list) or _UNANSWERED,
            "EPICS_CA_NAME_SERVERS": " ".join(name_servers),
            # There is no beacon repeater: a server that comes back is found by searching alone, so search each minute.
            "EPICS_CA_MAX_SEARCH_PERIOD": "60",
        }
        self._process = ChannelAccessProcess(environment, timeouts, extra)

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
            ControlSystemError: a channel is unknown or disconnected.
        """
        return await self._process.read(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put with completion (a put-callback), then read back.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation came.
        """
        return await self._process.write(channel, value)
