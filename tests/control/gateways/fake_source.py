"""A `Source` in memory, which keeps a journal of what reaches it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError
from osprey_executor.models import AlarmSeverity

THEN = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)


def sample(channel: str, value: Any, kind: str = "number", dtype: str = "f8", **more: Any) -> Sample:
    return Sample(channel=channel, value=value, kind=ChannelKind(kind), dtype=dtype, timestamp=THEN, **more)


def machine() -> dict[str, Sample]:
    states = {"kind": "enum", "dtype": "enum", "labels": ("Off", "Standby", "On")}
    shown = {"units": "A", "precision": 3, "display_limits": (-5.0, 5.0)}
    shown |= {"low_alarms": (-4.0, -3.0), "high_alarms": (3.0, 4.0)}
    table = {"at": np.array([1.0, 2.0]), "name": ["a", "b"]}
    samples = [
        sample("G:NUMBER", 1.5, **shown, control_limits=(-10.0, 10.0)),
        sample("G:WHOLE", 7, dtype="i4", units="turns", control_limits=(math.nan, math.nan)),
        sample("G:LONG", 2**40, dtype="i8"),
        sample("G:STATE", "Standby", **states),
        sample("G:FLAG", True, "enum", "?", labels=("false", "true")),
        sample("G:TEXT", "hello", "text", "string"),
        sample("G:ROW", np.arange(4.0), "array", count=8),
        sample("G:BYTES", np.arange(3, dtype="u1"), "array", "u1"),
        sample("G:TEXTS", ["a", "b"], "array", "string"),
        sample("G:TABLE", table, "table", "table"),
        sample("G:ALARM", 3.0, severity=AlarmSeverity.INVALID, status="no link"),
        sample("G:HIHI", 3.0, severity=AlarmSeverity.MAJOR, status="HIHI"),
    ]
    return {one.channel: one for one in samples}


@dataclass
class FakeSource:
    """Answers from `now`; refuses writes with `refusal`, or else takes them."""

    now: dict[str, Sample] = field(default_factory=machine)
    refusal: str | None = None
    hidden: set[str] = field(default_factory=set)
    """Channels that may not be read."""
    requests: list[list[str]] = field(default_factory=list)
    described: list[str] = field(default_factory=list)
    writes: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """Of those channels whose commands are queries."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    monitored: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, channel: str, value: Any, seconds: float = 1.0) -> None:
        old = self.now[channel]
        stamp = datetime.fromtimestamp((old.timestamp or THEN).timestamp() + seconds, UTC)
        self.now[channel] = old.model_copy(update={"value": value, "timestamp": stamp})
        self.touch()

    def touch(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def samples(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        self.requests.append(list(channels))
        await asyncio.sleep(0)
        return {name: self._sample(name) for name in channels}

    async def describe(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        self.described += channels
        await asyncio.sleep(0)
        of_the_moment = {"value": None, "severity": AlarmSeverity.NO_ALARM, "status": "", "timestamp": None}
        return {name: self._sample(name).model_copy(update=of_the_moment) for name in channels}

    async def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        self.monitored.add(channel)
        try:
            while True:
                changed = self.changed
                yield self._sample(channel)
                await changed.wait()
        finally:
            self.monitored.discard(channel)
            self.touch()

    async def write(self, channel: str, value: Any) -> str | None:
        self.writes.append((channel, value))
        if self.refusal is None:
            labels = self.now[channel].labels
            self.set(channel, labels[value] if labels and isinstance(value, int) else value)
        return self.refusal

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        if channel in self.answers:
            return self.answers[channel]
        raise ControlSystemError(await self.attempted(channel, arguments))

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> str:
        self.calls.append((channel, dict(told)))
        return f"{channel}: a command counts as a write, and is refused"

    def _sample(self, name: str) -> Sample:
        if name in self.hidden:
            raise ControlSystemError(f"{name}: not readable, says the limits database")
        if name not in self.now:
            raise ChannelDisconnectedError(f"{name}: no answer within 5 s")
        return self.now[name]
