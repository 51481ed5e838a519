"""Limits in words, for the card of a person who decides."""

from __future__ import annotations

from collections.abc import Iterable

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.limits._check import closed_by, shown_states
from osprey_executor.control.limits._database import Breach
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._file import LimitsInForce
from osprey_executor.text import one_line


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


def with_stop_channels(limits: LimitsInForce | None, channels: Iterable[str]) -> tuple[str, ...]:
    """Return the channels, and those that their stop actions write: whoever holds the ones needs the others, too."""
    named = tuple(channels)
    if limits is None or limits.database is None:
        return named
    found = [limits.database.of(channel_name(channel)) for channel in named]
    stops = [one.stop_action for one in found if not isinstance(one, Breach) and one.stop_action]
    return tuple(dict.fromkeys((*named, *(stop.channel for stop in stops if stop.channel))))


def group_limits(limits: LimitsInForce | None, channels: Iterable[str]) -> tuple[str, ...]:
    """Return in words what bounds some of these channels together."""
    if limits is None or limits.database is None:
        return ()
    named = tuple(channels)
    groups = limits.database.groups.items()
    return tuple(group.words(name) for name, group in groups if any(group.holds(channel) for channel in named))


def stop_actions(limits: LimitsInForce | None, channels: Iterable[str]) -> tuple[str, ...]:
    """Return in words what is written when a run that has written these channels is aborted."""
    if limits is None or limits.database is None:
        return ()
    told: list[str] = []
    for channel in channels:
        found = limits.database.of(channel_name(channel))
        action = None if isinstance(found, Breach) else found.stop_action
        if action is not None:
            value = one_line(action.value, 60) if isinstance(action.value, str) else f"{action.value:g}"
            told.append(f"Stop action, when the run is aborted: {one_line(action.channel or channel, 100)} = {value}")
    return tuple(told)


def restorable(limits: LimitsInForce | None, channels: Iterable[str], *, simulated: bool) -> tuple[str, ...]:
    """Return those of the channels that a restore may bring back; without a database, all of a simulated machine."""
    if limits is None:
        return tuple(channels) if simulated else ()
    if limits.database is None:
        return ()
    found = [(channel, limits.database.of(channel_name(channel))) for channel in channels]
    return tuple(channel for channel, entry in found if not isinstance(entry, Breach) and entry.restorable)
