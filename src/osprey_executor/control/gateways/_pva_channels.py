"""The channels that clients of one run have open, and which names are channels at all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.gateways._link import Source
from osprey_executor.control.gateways._pva_channel import Channel
from osprey_executor.control.gateways._pva_reads import Reads

_MOST_CHANNELS = 10_000
"""Of one run at the same time."""


class _Later:
    """Brings work from threads of p4p into the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, work)
        except RuntimeError:  # the loop is over
            work.close()

    async def finish(self) -> None:
        """Return when all of it is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Channels:
    """All of them, and the handler of p4p's provider, which calls it in one thread of its own.

    It claims every name: whether there is such a channel, the broker is asked when a client uses it. One that it does
    not know stays silent, as on any network.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._reads = source, Reads(source)
        self._later = _Later()
        self._channels: dict[str, Channel] = {}

    def get(self, name: str) -> Channel | None:
        """Return the channel if a client has it open."""
        known = canonical(name)
        return self._channels.get(known) if known else None

    async def finish(self) -> None:
        """Return when what clients wanted to change is at the source."""
        await self._later.finish()

    def testChannel(self, name: str) -> bool:
        """Return whether a name is one."""
        return canonical(name) is not None

    def makeChannel(self, name: str, peer: str) -> Any:
        """Return the server's side of a channel."""
        known = canonical(name)
        if known is None or (known not in self._channels and len(self._channels) >= _MOST_CHANNELS):
            return None
        if known not in self._channels:
            self._channels[known] = Channel(known, self._source, self._reads, self._later, self._forget)
        return self._channels[known].pv

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]


def canonical(name: str) -> str | None:
    """Return the one name of a channel, None where it is no name: filters of EPICS (`X.{...}`) are none."""
    try:
        return channel_name(name).canonical
    except ValueError:
        return None
