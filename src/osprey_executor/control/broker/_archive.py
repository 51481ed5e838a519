"""What a run may read of the past, checked before the archiver is asked and after it has answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.connectors._protocol import Connector
from osprey_executor.errors import ControlSystemError
from osprey_executor.models import History
from osprey_executor.text import one_line

MOST_CHANNELS = 100
"""Of one call."""
MOST_VALUES = 1_000_000
"""Of one call, all channels together; of arrays, their elements."""
LONGEST = timedelta(days=3660)
_LESS = "ask for fewer channels or less time, or give a longer bin"


async def history_of(
    archiver: Connector,
    channels: Sequence[str],
    start: datetime,
    end: datetime,
    bin: float | None,
    readable: Callable[[Iterable[str]], None] | None = None,
) -> Mapping[str, History]:
    """Return the history of each channel, by the names as asked for; `readable` raises for names that are not to be.

    Raises:
        ControlSystemError: the call is not usable or asks for too much, or the archiver cannot answer it.
    """
    if len(channels) > MOST_CHANNELS:
        raise ControlSystemError(f"history of {len(channels)} channels in one call: at most {MOST_CHANNELS}")
    try:
        canonical = {asked: channel_name(asked).canonical for asked in channels}
    except (ValueError, TypeError) as error:
        raise ControlSystemError(f"the history cannot be read: {error}") from None
    if start.tzinfo is None or end.tzinfo is None:
        raise ControlSystemError("start and end of a history need a time zone")
    if not start < end:
        raise ControlSystemError(f"a history from {start.isoformat()} to {end.isoformat()}: the start comes first")
    if end - start > LONGEST:
        raise ControlSystemError(f"a history of {(end - start).days} days: at most {LONGEST.days}")
    if bin is not None:
        if not (math.isfinite(bin) and bin >= 1 and bin == int(bin)):
            raise ControlSystemError(f"a bin of {bin:g} s: bins are whole seconds, from 1 on")
        expected = (end - start).total_seconds() / bin * len(canonical)
        if expected > MOST_VALUES:
            raise ControlSystemError(f"about {expected:.0f} values in one call: at most {MOST_VALUES}; {_LESS}")
    if readable is not None:
        readable(canonical.values())
    found = await archiver.history(list(dict.fromkeys(canonical.values())), start, end, bin)
    room = MOST_VALUES
    for name, history in found.items():
        room -= _size(history)
        if room < 0:
            raise ControlSystemError(f"{one_line(name)}: more than {MOST_VALUES} values in one call; {_LESS}")
    return {asked: found[name] for asked, name in canonical.items()}


def _size(history: History) -> int:
    if hasattr(history.values, "size"):
        return int(history.values.size)
    return sum(int(getattr(value, "size", 1)) for value in history.values)
