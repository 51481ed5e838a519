"""Writes without a known end: which of a journal have none, and what a look at the channel says of them later."""

from __future__ import annotations

import json
import math
from pathlib import Path

from osprey_executor.control.broker._journal import Journal, writes_of
from osprey_executor.control.broker._values import shown
from osprey_executor.models import Reading, Settled, Settlement, Unsettled, Write

_ROUNDED = 1e-6
"""Relative: how far apart the same number may be, as some channels hold single precision."""


def unsettled_of(journal: Path) -> tuple[Write, ...] | None:
    """Return the writes of a journal that nobody can say have arrived; None: it is damaged, so it may be any."""
    try:
        lines = journal.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError:
        return None
    for line in lines:
        try:
            json.loads(line)["event"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    return tuple(write for write in writes_of(journal) if not write.confirmed)


def looked_at(write: Unsettled, reading: Reading | None, unreadable: str = "") -> Unsettled:
    """Return a write with the present value of its channel, and what that says."""
    if reading is None:
        return write.model_copy(update={"unreadable": unreadable})
    present = shown(reading.value)
    return write.model_copy(update={"present": present, "outcome": _outcome(write.previous, write.value, present)})


def journal_settlement(journal: Path, settlement: Settlement) -> None:
    """Write into the journal of a run how its writes were settled; it is on the disk when this returns.

    Raises:
        StorageError: it cannot be written.
    """
    Journal(journal, settlement.run_id).append(
        *(
            {
                "event": "settled",
                "channel": write.channel,
                "value": write.value,
                "outcome": write.outcome,
                "seen": write.present,
                "by": settlement.by,
            }
            for write in settlement.writes
        ),
        durable=True,
    )


def _outcome(previous: str | None, value: str | None, present: str) -> Settled:
    """Say what values as text prove. One that was written over itself, or is shown in part only, proves nothing."""
    before, intended, now = _plain(previous), _plain(value), _plain(present)
    if before is None or intended is None or now is None or len({type(one) for one in (before, intended, now)}) > 1:
        return Settled.UNKNOWN
    if _same(before, intended):
        return Settled.UNKNOWN
    if _same(now, intended):
        return Settled.WRITTEN
    return Settled.NOT_WRITTEN if _same(now, before) else Settled.UNKNOWN


def _plain(text: str | None) -> float | str | None:
    """Return a number, or a text that is there as a whole; None: neither."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return text if text[:1] in ("'", '"') and "..." not in text and "…" not in text else None
    return number if math.isfinite(number) else None


def _same(one: float | str, other: float | str) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDED)
    return one == other
