"""A simulator of the machine, private to rehearsals: set to what the machine is set to, then moved in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from osprey_executor.control.connectors._protocol import Confirmation, Connector, Sample
from osprey_executor.control.simulator._names import knows, setpoints
from osprey_executor.errors import ControlSystemError
from osprey_executor.models import AlarmSeverity


class Model:
    """The virtual accelerator as rehearsals see it.

    Args:
        connector: of a virtual accelerator of its own.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def knows(self, channel: str) -> bool:
        """Return whether the model has the channel."""
        return knows(channel)

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel.

        Raises:
            ControlSystemError: the model is gone.
        """
        return await self._connector.read(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Move the model.

        Raises:
            ControlSystemError: the model is gone.
        """
        return await self._connector.write(channel, value)

    def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield the present sample of each channel, then each change."""
        return self._connector.monitor(channels)

    async def follow(self, machine: Connector) -> None:
        """Set the model to what the machine is set to.

        Raises:
            ControlSystemError: the machine does not have the channels of the model, or one has no valid value.
        """
        wanted = await machine.read(setpoints())
        present = await self._connector.read(setpoints())
        for channel, sample in wanted.items():
            if sample.severity is AlarmSeverity.INVALID:
                raise ControlSystemError(f"{channel} is INVALID, so the simulator cannot be set to the machine")
            if sample.value != present[channel].value:
                await self._connector.write(channel, sample.value)


class Models:
    """One model for all rehearsals of a broker, one after the other; started at its first use.

    Args:
        make: makes the connector of a virtual accelerator.
    """

    def __init__(self, make: Callable[[], Connector]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._model: Model | None = None

    @asynccontextmanager
    async def one(self, machine: Connector) -> AsyncGenerator[Model]:
        """Yield the model, set to what the machine is set to, for one rehearsal.

        Raises:
            ControlSystemError: it cannot be started, or cannot follow the machine.
        """
        async with self._turn:
            if self._model is None:
                connector = self._make()
                await connector.connect()
                self._stack.push_async_callback(connector.close)
                self._model = Model(connector)
            try:
                await self._model.follow(machine)
                yield self._model
            except ControlSystemError:
                await self._renew()
                raise

    async def close(self) -> None:
        """End the virtual accelerator."""
        await self._renew()

    async def _renew(self) -> None:
        self._model = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
