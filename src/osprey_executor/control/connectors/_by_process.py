"""What connectors share whose library lives in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._process import WorkerProcess
from osprey_executor.control.connectors._protocol import Confirmation, Sample


class ByProcess:
    """Hands each verb to the process."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process

    async def connect(self) -> None:
        """Start the process.

        Raises:
            MissingExtraError: the extra with its library is not installed.
            ControlSystemError: it does not start.
        """
        await self._process.start()

    async def close(self) -> None:
        """End the process."""
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
