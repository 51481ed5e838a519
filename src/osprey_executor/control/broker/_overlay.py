"""A control system that is read and never written: writes stay in a layer over it, which later reads see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from osprey_executor.control.broker._model import Model
from osprey_executor.control.connectors._lacking import NoArchive, NoCommands
from osprey_executor.control.connectors._protocol import ChannelKind, Confirmation, Connector, Sample
from osprey_executor.models import AlarmSeverity

_LONGEST_QUEUE = 1000


class Overlay(NoCommands, NoArchive):
    """A connector over another one, for one rehearsal.

    Args:
        machine: read only.
        model: answers instead of the machine for the channels that it knows, and is written; None: there is none.
    """

    def __init__(self, machine: Connector, model: Model | None = None) -> None:
        self.machine = machine
        self._model = model
        self._layer: dict[str, Sample] = {}
        self._watchers: list[tuple[frozenset[str], asyncio.Queue[Sample]]] = []
        self.moved = False
        """Whether anything was written."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of the machine."""
        return self.machine.addresses

    async def connect(self) -> None:
        """Nothing to do: the machine is connected."""

    async def close(self) -> None:
        """Nothing to do: the machine stays connected."""

    def answers(self, channel: str) -> bool:
        """Return whether reading it shows what the rehearsal has written, and not a machine that was not moved."""
        return channel in self._layer or (self._model is not None and self._model.knows(channel))

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel: of the layer, else of the model, else of the machine.

        Raises:
            ControlSystemError: as the machine has it.
        """
        found = {channel: self._layer[channel] for channel in channels if channel in self._layer}
        left = [channel for channel in channels if channel not in found]
        if self._model is not None and (modelled := [channel for channel in left if self._model.knows(channel)]):
            found.update(await self._model.read(modelled))
            left = [channel for channel in left if channel not in found]
        if left:
            found.update(await self.machine.read(left))
        return {channel: found[channel] for channel in channels}

    async def of_machine(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return the channels as the machine has them.

        Raises:
            ControlSystemError: as the machine has it.
        """
        return await self.machine.read(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Write the model, or else the layer.

        Raises:
            ControlSystemError: the channel cannot be read, or the model is gone.
        """
        if self._model is not None and self._model.knows(channel):
            self.moved = True
            return await self._model.write(channel, value)
        sample = (await self.read([channel]))[channel]
        self.moved = True  # in one step with the write: what a monitor tells before it is not read after it
        made = self._put(sample, value)
        # As from a server, which tells its monitors of a change before it confirms it.
        await asyncio.sleep(0)
        return Confirmation(made)

    async def show(self, channel: str, value: Any) -> None:
        """Let a read-back channel show what was written.

        Raises:
            ControlSystemError: the channel cannot be read.
        """
        if self._model is None or not self._model.knows(channel):
            self._put((await self.read([channel]))[channel], value)

    async def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield each channel's present sample, then each change that the rehearsal would see.

        Raises:
            ChannelDisconnectedError: as the machine has it.
        """
        for sample in (await self.read(channels)).values():
            yield sample
        queue: asyncio.Queue[Sample] = asyncio.Queue(_LONGEST_QUEUE)
        watcher = frozenset(channels), queue
        self._watchers.append(watcher)
        below = [asyncio.create_task(self._pass_on(channel, queue)) for channel in watcher[0]]
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(watcher)
            for task in below:
                task.cancel()
            await asyncio.gather(*below, return_exceptions=True)

    async def _pass_on(self, channel: str, queue: asyncio.Queue[Sample]) -> None:
        source = self._model if self._model is not None and self._model.knows(channel) else self.machine
        async for sample in source.monitor([channel]):
            if channel not in self._layer:
                _offer(queue, sample)

    def _put(self, sample: Sample, value: Any) -> Sample:
        labelled = sample.kind is ChannelKind.ENUM and isinstance(sample.value, str)
        shown = sample.labels[value] if labelled and isinstance(value, int) and value < len(sample.labels) else value
        if isinstance(sample.value, bool):
            shown = bool(value)
        now = {"value": shown, "severity": AlarmSeverity.NO_ALARM, "status": "", "timestamp": datetime.now(UTC)}
        self._layer[sample.channel] = made = sample.model_copy(update=now)
        for channels, queue in self._watchers:
            if sample.channel in channels:
                _offer(queue, made)
        return made


def _offer(queue: asyncio.Queue[Sample], sample: Sample) -> None:
    if queue.full():  # whoever is slow misses samples between, never the newest
        queue.get_nowait()
    queue.put_nowait(sample)
