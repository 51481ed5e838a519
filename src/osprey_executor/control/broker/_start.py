"""How a channel was when an approval was asked for, and whether it still is when the run comes to write it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from osprey_executor.control.broker._command import Command
from osprey_executor.control.broker._values import shown
from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.control.limits._check import ioc_limits, present_value
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.models import AlarmSeverity, ChannelStart
from osprey_executor.models.plan import PlainValue
from osprey_executor.text import one_line

MOST_ELEMENTS = 64
"""Of an array that is kept element by element; a longer one is kept by its digest."""
_ROUNDING = 2.0**-40
"""Of the value: what binary fractions, and a text on the way, may change."""
_SINGLE_ROUNDING = 2.0**-20


def plain(value: Any) -> PlainValue:
    """Return a value that is sent as JSON has it; an array longer than `MOST_ELEMENTS`, or not finite, as a digest."""
    if isinstance(value, Command):
        return value.text
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float | str):
        return value
    elements = tuple(float(each) for each in value)
    if len(elements) <= MOST_ELEMENTS and all(map(math.isfinite, elements)):
        return elements
    digest = hashlib.sha256(",".join(each.hex() for each in elements).encode()).hexdigest()
    return f"array of {len(elements)} sha256:{digest}"


def same(one: PlainValue | None, other: PlainValue | None, tolerance: float = 0.0) -> bool:
    """Return whether two values are one, numbers within a tolerance and what rounding does."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= max(tolerance, _ROUNDING * max(abs(one), abs(other)))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


def allowed_difference(limits: ChannelLimits | None, value: Any) -> float:
    """Return by how much a written number may differ from an approved one: what the limits database says, else 0."""
    if limits is None or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    told = limits.verification
    given = told.tolerance_absolute is not None or told.tolerance_percent is not None
    return told.tolerance(float(value)) if given else 0.0


def start_of(sample: Sample, limits: ChannelLimits | None) -> ChannelStart:
    """Return what is kept of a channel when the rehearsal first looks at it."""
    value = held(sample)
    low, high = _bounds(sample, limits)
    return ChannelStart(
        value=value,
        shown="" if value is None else one_line(shown(sample.value), 120),
        units=one_line(sample.units, 20),
        tolerance=max(allowed_difference(limits, value), _single(sample, value)),
        low=low,
        high=high,
        max_step=limits.max_step if limits else None,
        labels=tuple(one_line(label, 40) for label in sample.labels[:32]),
    )


def held(sample: Sample) -> PlainValue | None:
    """Return what a channel holds, of an enum channel the number of its state; None where it has no valid value."""
    if sample.severity is AlarmSeverity.INVALID or sample.kind is ChannelKind.TABLE:
        return None
    if isinstance(sample.value, float) and not math.isfinite(sample.value):
        return None
    number = present_value(sample)
    return plain(sample.value) if number is None else number


class Expected:
    """What a writing run expects to find in each channel: what the card showed, then what it left there itself."""

    def __init__(self, start: Mapping[str, ChannelStart]) -> None:
        self._start = start
        self._own: dict[str, tuple[PlainValue | None, float]] = {}

    def conflict(self, channel: str, sample: Sample) -> str | None:
        """Return why somebody else must have written the channel, None if nobody did."""
        present = held(sample)
        if channel in self._own:
            value, tolerance = self._own[channel]
            whose = "this run left it at"
        elif channel in self._start:
            value, tolerance = self._start[channel].value, self._start[channel].tolerance
            whose = "the card showed"
        else:
            return None
        if same(value, present, tolerance):
            return None
        return f"it is {_words(present)}, where {whose} {_words(value)}: somebody else has changed it"

    def wrote(self, channel: str, value: Any, read_back: Sample | None, limits: ChannelLimits | None) -> None:
        """Take note of what this run left in the channel."""
        left = held(read_back) if read_back is not None else plain(value)
        single = _single(read_back, left) if read_back is not None else 0.0
        self._own[channel] = left, max(allowed_difference(limits, value), single)


def _single(sample: Sample, value: PlainValue | None) -> float:
    return _SINGLE_ROUNDING * abs(value) if sample.dtype == "f4" and isinstance(value, int | float) else 0.0


def _bounds(sample: Sample, limits: ChannelLimits | None) -> tuple[float | None, float | None]:
    own = ioc_limits(sample)
    lows = [each for each in (limits.min_value if limits else None, own[0] if own else None) if each is not None]
    highs = [each for each in (limits.max_value if limits else None, own[1] if own else None) if each is not None]
    return max(lows, default=None), min(highs, default=None)


def _words(value: PlainValue | None) -> str:
    return "without a valid value" if value is None else one_line(shown(value), 80)
