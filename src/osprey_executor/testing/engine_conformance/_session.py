"""A machine for the tests: three channels, of which one may be written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import numpy as np

from osprey_executor.errors import ControlSystemError, WriteRefused
from osprey_executor.models import History, MachineEffects, Reading, Refusal, Write


class Session:
    """A control session that keeps what came; it reads `GO` only after the test has said so."""

    def __init__(self) -> None:
        """Start with nothing written."""
        self.values: dict[str, Any] = {"CURRENT": 1.5, "NAME": "beam é", "GO": 1}
        self.go = asyncio.Event()
        self.effects = MachineEffects.NONE
        self.declared: dict[str, tuple[float, float]] = {}
        self.lines: list[int | None] = []
        self.writes: list[Write] = []
        self.refusals: list[Refusal] = []
        self.reads: list[Reading] = []
        self.notes: Sequence[str] = ()
        self.halted: str | None = None

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        """Return one reading a channel."""
        for name in channels:
            if name not in self.values:
                raise ControlSystemError(f"there is no channel {name}")
            if name == "GO":
                await self.go.wait()
            self.reads.append(Reading(channel=name, value=self.values[name]))
        return {name: Reading(channel=name, value=self.values[name]) for name in channels}

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Write `CURRENT`, refuse the others."""
        for name, value in values.items():
            self.lines.append(line)
            if name != "CURRENT":
                self.refusals.append(Refusal(channel=name, value=str(value), reason="not approved", line=line))
                raise WriteRefused(f"{name} is not approved")
            self.values[name] = value
            self.effects = MachineEffects.WRITTEN
            self.writes.append(Write(channel=name, value=str(value), confirmed=True, line=line))
        return ()

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return two values a channel, at both ends of the time asked for."""
        if "NOWHERE" in channels:
            raise ControlSystemError("there is no channel NOWHERE")
        times = np.array([int(start.timestamp()), int(end.timestamp())], dtype="datetime64[s]").astype("M8[ns]")
        values, severities = np.array([1.5, bin or 0.0]), np.array([0, 1], dtype=np.uint8)
        return {name: History(name, times, values, severities, "mA") for name in channels}

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Answer the arguments of `CURRENT`, refuse the others."""
        self.lines.append(line)
        if channel != "CURRENT":
            raise WriteRefused(f"{channel} is not approved")
        return dict(arguments)

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Refuse it."""
        self.refusals.append(Refusal(channel=channel, value=str(told), reason="not checked"))
        raise WriteRefused("not checked")

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Note what the program says it will write."""
        self.declared.update(ranges)
