"""Limits in words, for the card of a person who decides."""

from __future__ import annotations

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.limits._check import closed_by, shown_states
from osprey_executor.control.limits._database import Breach
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._file import LimitsInForce


def limits_words(limits: LimitsInForce, channel: str) -> str:
    """Return what the database says of a channel, or of those that a pattern with `*` stands for."""
    if limits.database is None:
        return "refused: the limits database cannot be used"
    if "*" in channel:
        return "each by its own entry"
    try:
        found = limits.database.of(channel_name(channel))
    except ValueError:
        return "refused: not a channel name"
    if not isinstance(found, Breach):
        found = closed_by(found) or found
    return f"refused: {found.reason}" if isinstance(found, Breach) else limits_told(found)


def limits_told(limits: ChannelLimits) -> str:
    """Return the limits of one channel in words."""
    parts: list[str] = []
    low, high = limits.min_value, limits.max_value
    if low is not None and high is not None:
        parts.append(f"{low:g} to {high:g}")
    elif low is not None:
        parts.append(f"at least {low:g}")
    elif high is not None:
        parts.append(f"at most {high:g}")
    if limits.states is not None:
        parts.append(f"one of {shown_states(limits.states)}")
    if limits.max_step is not None:
        parts.append(f"step {limits.max_step:g}")
    if limits.max_rate is not None:
        parts.append(f"{limits.max_rate:g} a second")
    if limits.max_excursion is not None:
        parts.append(f"{limits.max_excursion:g} from the start")
    if limits.verification.level == "readback":
        parts.append(f"read back from {limits.verification.read_back or 'itself'}")
    return ", ".join(parts) or "listed, without bounds"
