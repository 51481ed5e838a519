"""An in-memory control system that knows every channel: plausible, the same values on every machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from osprey_executor.control.connectors._protocol import ChannelKind, Confirmation, Sample

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
_SETPOINT = re.compile(r"(.*[:_.-])(SP|SET|SETPOINT)")


class MockConnector:
    """Any name reads a number; what was written is read back.

    A number written to `...:SP` also shows at `...:RB` and `...:RBV`.

    Args:
        values: of named channels: a number, a string, or a sequence of numbers, which makes an array channel.
    """

    addresses: tuple[str, ...] = ()

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = dict(values or {})

    async def connect(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return a sample of each channel; there is no unknown one."""
        return {channel: self._sample(channel) for channel in channels}

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Keep the value."""
        self._values[channel] = value
        setpoint = _SETPOINT.fullmatch(channel)
        if setpoint and isinstance(value, int | float):
            for read_back in ("RB", "RBV"):
                self._values[setpoint[1] + read_back] = value
        return Confirmation(self._sample(channel))

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


def _plausible(channel: str) -> tuple[float, float, str]:
    upper = channel.upper()
    return next((low, high, units) for pattern, low, high, units in _PLAUSIBLE if pattern.search(upper))


def _value_of(channel: str, low: float, high: float) -> float:
    digest = hashlib.sha256(channel.encode()).digest()
    return low + (high - low) * int.from_bytes(digest[:6], "big") / 2**48
