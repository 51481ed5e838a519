"""An in-memory control system that knows every channel: plausible, the same values on every machine."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from osprey_executor.control.connectors._lacking import NoCommands, NoLiveValues
from osprey_executor.control.connectors._protocol import ChannelKind, Confirmation, Sample
from osprey_executor.control.connectors._synthetic import synthetic
from osprey_executor.errors import ControlSystemError
from osprey_executor.models import History
from osprey_executor.text import one_line

# The first pattern that the name holds decides: lowest and highest plausible value, units.
_PLAUSIBLE: tuple[tuple[re.Pattern[str], float, float, str], ...] = tuple(
    (re.compile(pattern), low, high, units)
    for pattern, low, high, units in (
        (r"DCCT|BEAM.*CURR|CURR.*BEAM", 300.0, 500.0, "mA"),
        (r"LIFETIME", 5.0, 20.0, "h"),
        (r"BPM|ORBIT|POS|\bX\b|\bY\b", -0.5, 0.5, "mm"),
        (r"TEMP", 20.0, 40.0, "degC"),
        (r"PRESS|VAC|GAUGE", 1e-10, 1e-8, "mbar"),
        (r"FREQ", 499.0, 500.0, "MHz"),
        (r"VOLT", 0.0, 100.0, "V"),
        (r"CURR|CM\b|COR|MAG|QUAD|SEXT", -5.0, 5.0, "A"),
        (r"", 0.0, 100.0, ""),
    )
)
_SWAY = 0.01
"""Of the plausible range: how far made-up history strays from the value of today."""
_MOST_KEPT = 10_000
_SETPOINT = re.compile(r"(.*[:_.-])(SP|SET|SETPOINT)")


class MockConnector(NoCommands):
    """Any name reads a number; what was written is read back.

    A number written to `...:SP` also shows at `...:RB` and `...:RBV`. Its history is made up, but for what was written.

    Args:
        values: of named channels: a number, a string, or a sequence of numbers, which makes an array channel.
    """

    addresses: tuple[str, ...] = ()

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = dict(values or {})
        self._first: dict[str, Any] = {}
        """What a channel held before it was written."""
        self._written: dict[str, deque[tuple[float, float]]] = {}
        self._changed = asyncio.Condition()
        self._writes = 0

    async def connect(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return a sample of each channel; there is no unknown one."""
        return {channel: self._sample(channel) for channel in channels}

    async def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield a sample of each channel, then one each time that it is written to another value."""
        seen = {channel: self._sample(channel) for channel in channels}
        for sample in seen.values():
            yield sample
        looked = -1
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._writes != looked)  # noqa: B023 - asked before it changes
            looked = self._writes
            for channel, before in seen.items():
                seen[channel] = now = self._sample(channel)
                if str(now.value) != str(before.value):
                    yield now

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Keep the value."""
        self._keep(channel, value)
        setpoint = _SETPOINT.fullmatch(channel)
        if setpoint and isinstance(value, int | float):
            for read_back in ("RB", "RBV"):
                self._keep(setpoint[1] + read_back, value)
        async with self._changed:
            self._writes += 1
            self._changed.notify_all()
        return Confirmation(self._sample(channel))

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return made-up history, the same on every machine; from the first write on, what was written.

        Raises:
            ControlSystemError: a channel holds no number.
        """
        return {channel: self._history(channel, start, end, bin) for channel in channels}

    def _history(self, channel: str, start: datetime, end: datetime, bin: float | None) -> History:
        low, high, units = _plausible(channel)
        base = self._first.get(channel, self._values.get(channel, _value_of(channel, low, high)))
        if not isinstance(base, int | float):
            raise ControlSystemError(f"{one_line(channel)}: the mock archives numbers alone")
        amplitude, written = _SWAY * (high - low), self._written.get(channel, ())
        return synthetic(
            channel, float(base), amplitude, tuple(written), start.timestamp(), end.timestamp(), bin, units
        )

    def _keep(self, channel: str, value: Any) -> None:
        low, high, _ = _plausible(channel)
        self._first.setdefault(channel, self._values.get(channel, _value_of(channel, low, high)))
        self._values[channel] = value
        if isinstance(value, int | float):
            written = self._written.setdefault(channel, deque(maxlen=_MOST_KEPT))
            written.append((datetime.now(UTC).timestamp(), float(value)))

    def _sample(self, channel: str) -> Sample:
        low, high, units = _plausible(channel)
        value = self._values[channel] if channel in self._values else _value_of(channel, low, high)
        now = datetime.now(UTC)
        if isinstance(value, str):
            return Sample(channel=channel, value=value, kind=ChannelKind.TEXT, timestamp=now)
        if isinstance(value, int | float):
            return Sample(channel=channel, value=float(value), units=units, timestamp=now)
        import numpy as np

        array = np.array(value, dtype=np.float64)
        return Sample(
            channel=channel, value=array, units=units, kind=ChannelKind.ARRAY, count=max(array.size, 1), timestamp=now
        )


class MockArchiver(NoLiveValues):
    """The history of a mock control system in which nothing was ever written."""

    addresses: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._machine = MockConnector()

    async def connect(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return made-up history, the same on every machine."""
        return await self._machine.history(channels, start, end, bin)


def _plausible(channel: str) -> tuple[float, float, str]:
    upper = channel.upper()
    return next((low, high, units) for pattern, low, high, units in _PLAUSIBLE if pattern.search(upper))


def _value_of(channel: str, low: float, high: float) -> float:
    digest = hashlib.sha256(channel.encode()).digest()
    return low + (high - low) * int.from_bytes(digest[:6], "big") / 2**48
