"""Moments, spans, numbers and states as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from osprey_executor.models import Approve, CardRecord, Edit, Reject, RunStatus
from osprey_executor.text import one_line

_STATES: Final = {
    "running": ("Running", "busy"),
    RunStatus.SUCCEEDED: ("Succeeded", "good"),
    RunStatus.FAILED: ("Failed", "bad"),
    RunStatus.REJECTED: ("Rejected", "calm"),
    RunStatus.REFUSED: ("Refused", "bad"),
    RunStatus.TIMED_OUT: ("Timed out", "bad"),
    RunStatus.CANCELLED: ("Cancelled", "calm"),
    RunStatus.AWAITING_APPROVAL: ("Waits for approval", "wait"),
    RunStatus.OUTCOME_UNKNOWN: ("Outcome unknown", "bad"),
}


def state_words(state: str) -> tuple[str, str]:
    """Return the words of a state, and the class that colours them."""
    return _STATES.get(state, (one_line(state, 40), "calm"))


def decided_words(record: CardRecord) -> str:
    """Return who decided a card, and how; empty where nobody has."""
    match record.decision:
        case None:
            return ""
        case Approve():
            within = " its envelope" if record.card.digest != record.decision.digest else ""
            done = f"approved{within}" if within else "approved it"
        case Edit():
            done = "changed its code"
        case Reject():
            done = "sent it back to the generator" if record.decision.regenerate else "rejected it"
    why = f": {one_line(record.decision.reason, 300)}" if isinstance(record.decision, Reject) else ""
    return f"{one_line(record.by, 80)} {done}{why}"


def when(moment: datetime | None) -> str:
    """Return a moment in local time, to the second."""
    if moment is None:
        return ""
    local = moment.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or ''}".rstrip()


def age(moment: datetime) -> str:
    """Return how long ago a moment is."""
    return span((datetime.now(UTC) - moment).total_seconds())


def span(seconds: float) -> str:
    """Return a span of time in one unit, or two where the second one matters."""
    seconds = max(seconds, 0.0)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
    return f"{seconds / 86400:.0f} days"


def number(value: object) -> str:
    """Return a value with as many digits as people compare; what is no number as it is, on one line."""
    try:
        return f"{float(str(value)):.5g}"
    except ValueError:
        return one_line(str(value), 80)
