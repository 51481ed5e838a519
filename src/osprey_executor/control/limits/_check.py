"""The check itself, pure: one value, one channel as it is now, what the run did to it before; the limit it breaks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.control.limits._database import Breach
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.models import AlarmSeverity
from osprey_executor.text import one_line

# Of the value: a step of 0.1 from 0.3 to 0.4 is one of 0.1, whatever binary fractions make of it.
_ROUNDING = {"f4": 2.0**-22}
_DOUBLE_ROUNDING = 2.0**-50


@dataclass(frozen=True)
class Past:
    """What the run knows of a channel from before."""

    start: float | None = None
    """Its value when the run first came to write it; None: not known."""
    last: float | None = None
    """What the run wrote last."""
    since: float = 0.0
    """When, in seconds of the clock that `now` is of."""


def breach_of(limits: ChannelLimits, value: Any, sample: Sample, past: Past, now: float) -> Breach | None:
    """Return the limit that a write would break, None if it breaks none.

    Args:
        limits: of the channel.
        value: what would be sent: a number, a text, or an array; for an enum channel the number of the state.
        sample: the channel as it is now.
        past: what the run did to it.
        now: seconds of a monotonic clock.
    """
    if closed := closed_by(limits):
        return closed
    if sample.kind in (ChannelKind.NUMBER, ChannelKind.ENUM):
        return _number_breach(limits, value, sample, past, now)
    if sample.kind is ChannelKind.TEXT:
        return _text_breach(limits, value)
    if sample.kind is ChannelKind.ARRAY:
        return _array_breach(limits, value)
    return Breach("type", f"no limits can be kept of a channel that holds {one_line(str(sample.kind), 40)}")


def closed_by(limits: ChannelLimits) -> Breach | None:
    """Return what keeps a channel from being written at all, whatever its value; None: nothing does."""
    if not limits.writable:
        return Breach("writable", "the limits database says that it is not to be written")
    if not limits.readable or limits.read_side_effect:
        return Breach("readable", "it is not to be read, and the broker writes nothing that it has not looked at")
    return None


def present_value(sample: Sample) -> float | None:
    """Return the number that a channel holds, of an enum channel that of its state; None where it has no valid one."""
    if sample.severity is AlarmSeverity.INVALID:
        return None
    value = sample.value
    if sample.kind is ChannelKind.ENUM:
        if isinstance(value, bool):  # of PVAccess, whose states have no numbers
            return float(value)
        value = sample.labels.index(value) if value in sample.labels else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def ioc_limits(sample: Sample) -> tuple[float, float] | None:
    """Return the drive or control limits of the control system; None where they are unset, as 0 and 0 are.

    Source: EPICS clamps to DRVL and DRVH only where DRVH is above DRVL (aoRecord.c, `convert`).
    """
    found = sample.control_limits
    if sample.kind is not ChannelKind.NUMBER or found is None or not found[0] < found[1]:
        return None
    return found


def _number_breach(limits: ChannelLimits, value: Any, sample: Sample, past: Past, now: float) -> Breach | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Breach("type", f"{type(value).__name__} where a finite number is due")
    if limits.states is not None and not among(value, limits.states, sample):
        return Breach("states", f"not among the states {shown_states(limits.states)}")
    if limits.min_value is not None and value < limits.min_value:
        return Breach("min_value", f"below min_value {limits.min_value:g}")
    if limits.max_value is not None and value > limits.max_value:
        return Breach("max_value", f"above max_value {limits.max_value:g}")
    if own := ioc_limits(sample):
        if value < own[0]:
            return Breach("ioc_limits", f"below {own[0]:g}, the control system's own drive or control limit")
        if value > own[1]:
            return Breach("ioc_limits", f"above {own[1]:g}, the control system's own drive or control limit")
    return _change_breach(limits, value, sample, past, now) if limits.relative else None


def _change_breach(limits: ChannelLimits, value: float, sample: Sample, past: Past, now: float) -> Breach | None:
    present = present_value(sample)
    rounding = _ROUNDING.get(sample.dtype, _DOUBLE_ROUNDING)
    if limits.max_step is not None:
        if present is None:
            return Breach("max_step", "its present value is not known, so the step cannot be bounded")
        if _beyond(value, present, limits.max_step, rounding):
            step = abs(value - present)
            return Breach("max_step", f"a step of {step:g} from {present:g}; max_step {limits.max_step:g}")
    if limits.max_excursion is not None:
        if past.start is None:
            return Breach("max_excursion", "its value at the start is not known, so the excursion cannot be bounded")
        if _beyond(value, past.start, limits.max_excursion, rounding):
            away = abs(value - past.start)
            return Breach(
                "max_excursion",
                f"{away:g} away from {past.start:g} at the start of the run; max_excursion {limits.max_excursion:g}",
            )
    if limits.max_rate is not None and past.last is not None:
        seconds = max(now - past.since, 0.0)
        if _beyond(value, past.last, limits.max_rate * seconds, rounding):
            change = abs(value - past.last)
            wait = change / limits.max_rate - seconds
            return Breach(
                "max_rate",
                f"a change of {change:g} {seconds:.2g} s after the last write; "
                f"max_rate {limits.max_rate:g} a second: wait {wait:.2g} s more",
            )
    return None


def _beyond(value: float, reference: float, most: float, rounding: float) -> bool:
    return abs(value - reference) > most + rounding * max(abs(value), abs(reference))


def _text_breach(limits: ChannelLimits, value: Any) -> Breach | None:
    if limits.numeric:
        return Breach("type", "the channel holds a text, and its limits are for a number")
    if limits.states is not None and value not in [state for state in limits.states if isinstance(state, str)]:
        return Breach("states", f"not among the states {shown_states(limits.states)}")
    return None


def _array_breach(limits: ChannelLimits, value: Any) -> Breach | None:
    if limits.relative or limits.states is not None:
        return Breach("type", "the channel holds an array, and its limits are for a single number")
    if limits.min_value is not None and not bool((value >= limits.min_value).all()):
        return Breach("min_value", f"an element below min_value {limits.min_value:g}")
    if limits.max_value is not None and not bool((value <= limits.max_value).all()):
        return Breach("max_value", f"an element above max_value {limits.max_value:g}")
    return None


def among(value: float, states: tuple[float | str, ...], sample: Sample) -> bool:
    """Return whether a number, or the label of that state, is among the states."""
    label = sample.labels[int(value)] if value == int(value) and 0 <= value < len(sample.labels) else None
    return any(state == label if isinstance(state, str) else state == value for state in states)


def shown_states(states: tuple[float | str, ...]) -> str:
    """Return the first of some states, for people."""
    told = ", ".join(one_line(state, 40) if isinstance(state, str) else f"{state:g}" for state in states[:8])
    return told + (", ..." if len(states) > 8 else "")
