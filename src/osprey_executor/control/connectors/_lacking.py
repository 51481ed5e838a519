"""What connectors that are only half of one answer for the other half."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any

from osprey_executor.control.connectors._protocol import Confirmation, Sample
from osprey_executor.errors import NotSupportedError
from osprey_executor.models import History
from osprey_executor.text import one_line


class NoLiveValues:
    """An archive: it has the past alone."""

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Raise NotSupportedError."""
        raise NotSupportedError("an archiver has no present values: read them through control_system")

    async def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Raise NotSupportedError."""
        raise NotSupportedError("an archiver has no present values: monitor them through control_system")
        yield  # makes it a generator

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Raise NotSupportedError."""
        raise NotSupportedError("an archiver cannot be written")

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Raise NotSupportedError."""
        raise NotSupportedError("an archiver has no commands")


class NoCommands:
    """A control system whose channels are values and nothing else."""

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Raise NotSupportedError."""
        raise NotSupportedError(
            f"{one_line(channel)}: this control system has no commands: write a channel, or use control_system.type pva"
        )


class NoArchive:
    """A control system that keeps no past values itself."""

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Raise NotSupportedError."""
        raise NotSupportedError(
            "there is no archive of channels here: set archiver.type to epics_archiver and "
            "archiver.epics_archiver.url to the appliance, or read present values with read_channel"
        )
