"""The virtual accelerator as a connector: starts its IOC, then speaks Channel Access to it like to any other."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from osprey_executor.control.connectors._child import Child
from osprey_executor.control.connectors._lacking import NoArchive, NoCommands
from osprey_executor.control.connectors._protocol import Confirmation, Sample, Timeouts
from osprey_executor.control.connectors.epics import EpicsConnector
from osprey_executor.errors import ControlSystemError, MissingExtraError
from osprey_executor.text import one_line

_START_SECONDS = 60.0


class SimulatorConnector(NoCommands, NoArchive):
    """A virtual accelerator of one's own; it ends with this connector.

    The IOC tells which TCP port it got, and only that port is asked (a name server in EPICS's words): simulators never
    answer for each other, whatever ports are taken.
    """

    addresses: tuple[str, ...] = ()
    """Empty: the port is new at every start, and so is no part of what an approval binds."""

    def __init__(
        self,
        *,
        seed: int = 1,
        port: int = 0,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self._seed = seed
        self._timeouts = timeouts
        self._ioc: Child | None = None
        self._client: EpicsConnector | None = None
        self.port = port
        """Of Channel Access: as asked for, 0 for any; once connected, as it is, which differs where that was taken."""

    @property
    def pid(self) -> int | None:
        """Process id of the IOC."""
        return self._ioc.process.pid if self._ioc else None

    async def connect(self) -> None:
        """Start the IOC and the client.

        Raises:
            MissingExtraError: the extra `simulator` is not installed.
            ControlSystemError: one of them does not start.
        """
        identity = secrets.token_hex(8)
        try:
            self._ioc = await Child.start(
                "osprey_executor.control.simulator",
                f"--seed={self._seed}",
                f"--port={self.port}",
                f"--id={identity}",
                environment={},
            )
            self.port = await self._ready(self._ioc)
            self._client = EpicsConnector(
                (), name_servers=(f"127.0.0.1:{self.port}",), timeouts=self._timeouts, extra="simulator"
            )
            await self._client.connect()
            answered = (await self._client.read(["VA:ID"]))["VA:ID"].value
            if answered != identity:
                raise ControlSystemError(f"another virtual accelerator answers on 127.0.0.1:{self.port}")
        except BaseException:
            await self.close()
            raise

    async def wait(self) -> None:
        """Return when the IOC has ended."""
        if self._ioc:
            await self._ioc.process.wait()

    async def close(self) -> None:
        """End the client and the IOC."""
        client, ioc = self._client, self._ioc
        self._client = self._ioc = None
        try:
            if client:
                await client.close()
        finally:
            if ioc:
                await ioc.stop()

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel.

        Raises:
            ControlSystemError: a channel is unknown or disconnected.
        """
        return await self._connected().read(channels)

    def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield the present sample of each channel, then each change.

        Raises:
            ChannelDisconnectedError: a channel is unknown, or was disconnected.
        """
        return self._connected().monitor(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put with completion; the new orbit is published by then.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation came.
        """
        return await self._connected().write(channel, value)

    def _connected(self) -> EpicsConnector:
        if self._client is None:
            raise ControlSystemError("the virtual accelerator is not running")
        return self._client

    async def _ready(self, ioc: Child) -> int:
        assert ioc.process.stdout is not None
        try:
            line = await asyncio.wait_for(ioc.process.stdout.readline(), _START_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            await ioc.stop()
            raise ControlSystemError(
                f"the virtual accelerator did not start: {one_line(ioc.last_words, 500) or 'no message'}"
            )
        told: dict[str, Any] = json.loads(line)
        if not told["ready"]:
            raise MissingExtraError(f"the virtual accelerator ({one_line(told['missing'])})", "simulator")
        return int(told["port"])
