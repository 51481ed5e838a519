"""A control system as one run may read it: as fast as a program can sensibly want it, and no faster.

Reads and monitors of the runtime and of gateways count together. Whoever goes beyond a rate waits; who asks for too
many channels is refused. Looks that the broker takes itself, before a write or a stop action, do not come by here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import Semaphore
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from osprey_executor.control.connectors._protocol import Connector, Sample
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError


@dataclass(frozen=True)
class Quota:
    """What one run may use. A rate may be passed for as long as `burst` seconds of it have not been used."""

    samples: float = 20_000.0
    """A second, read or told by monitors."""
    searches: float = 1000.0
    """A second: channels that nobody knew when this run last asked. Each is a search on the machine's network."""
    bytes: float = 100e6
    """A second."""
    burst: float = 10.0
    channels: int = 50_000
    """Different ones in all."""
    monitors: int = 10_000
    """At the same time."""
    calls: int = 8
    """At the same time: each has a client of its own."""


class Metered:
    """What of a connector one run reads."""

    def __init__(self, machine: Connector, quota: Quota | None = None) -> None:
        self._machine = machine
        self._quota = quota or Quota()
        quota = self._quota
        self._samples, self._searches, self._bytes = (
            _Bucket(rate, rate * quota.burst) for rate in (quota.samples, quota.searches, quota.bytes)
        )
        self._known: set[str] = set()
        self._monitors = 0
        self._calls = Semaphore(quota.calls)

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Wait for this run's turn, and read.

        Raises:
            ControlSystemError: as the machine has it, or the run has asked for too many channels.
        """
        self._meet(channels)
        self._samples.take(len(channels))
        await self._turn()
        try:
            samples = await self._machine.read(channels)
        except ChannelDisconnectedError:
            self._known.difference_update(channels)
            raise
        self._bytes.take(sum(_size(sample.value) for sample in samples.values()))
        return samples

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Wait for this run's turn, and ask a query.

        Raises:
            ControlSystemError: as the machine has it, or the run has asked for too many channels.
            OutcomeUnknownError: no answer.
        """
        self._meet([channel])
        self._samples.take(1)
        await self._turn()
        async with self._calls:
            answer = await self._machine.call(channel, arguments)
        self._bytes.take(_size(answer))
        return answer

    async def turn(self, requests: int) -> None:
        """Wait for this run's turn with so many requests to whoever else is asked for it, an archiver."""
        self._samples.take(requests)
        await self._turn()

    def pay(self, values: Iterable[Any]) -> None:
        """Count what they have answered."""
        self._bytes.take(sum(map(_size, values)))

    async def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield samples, no more than this run's share of them: what comes between is left out, but for the newest.

        Raises:
            ControlSystemError: as the machine has it, or the run has asked for too many channels or monitors.
        """
        self._meet(channels)
        if self._monitors >= self._quota.monitors:
            raise ControlSystemError(f"{self._quota.monitors} monitors in one run: no more are kept")
        self._monitors += 1
        try:
            await self._turn()
            async with contextlib.aclosing(self._machine.monitor(channels)) as samples:
                async for sample in samples:
                    self._samples.take(1)
                    self._bytes.take(_size(sample.value))
                    await self._turn()
                    yield sample
        finally:
            self._monitors -= 1

    def _meet(self, channels: Iterable[str]) -> None:
        new = {channel for channel in channels if channel not in self._known}
        if not new:
            return
        if len(self._known) + len(new) > self._quota.channels:
            raise ControlSystemError(f"more than {self._quota.channels} different channels in one run")
        self._known |= new
        self._searches.take(len(new))

    async def _turn(self) -> None:
        debt = max(self._samples.debt(), self._searches.debt(), self._bytes.debt())
        if debt > 0:
            await asyncio.sleep(debt)


class _Bucket:
    """Fills at a rate, up to its room; may be emptied below nothing, and is in debt then."""

    def __init__(self, rate: float, room: float) -> None:
        self._rate, self._room = rate, room
        self._level, self._when = room, time.monotonic()

    def take(self, amount: float) -> None:
        now = time.monotonic()
        self._level = min(self._room, self._level + (now - self._when) * self._rate) - amount
        self._when = now

    def debt(self) -> float:
        """Return the seconds until it is not empty any more."""
        return -self._level / self._rate - (time.monotonic() - self._when)


def _size(value: Any) -> int:
    if isinstance(value, dict):  # a table
        return sum(map(_size, cast("dict[str, Any]", value).values()))
    if isinstance(value, list):  # texts, or arrays
        return sum(map(_size, cast("list[Any]", value)))
    return int(getattr(value, "nbytes", 8))
