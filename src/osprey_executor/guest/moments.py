"""Moments as a program gives them: what does not say which moment it is, is refused."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any


def moment(given: Any) -> float:
    """Return seconds since 1970 of a datetime, an ISO text, or such seconds.

    Raises:
        ValueError: it has no time zone, or is no moment.
        TypeError: it is of another type.
    """
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        if not math.isfinite(given):
            raise ValueError("{!r} is not a moment".format(given))
        return float(given)
    if isinstance(given, str):
        text = given[:-1] + "+00:00" if given.endswith(("Z", "z")) else given
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                "{!r:.100} is not an ISO moment, as 2026-01-31T08:00:00+01:00 is one".format(text)
            ) from None
    if not isinstance(given, datetime):
        raise TypeError(
            "a moment is a datetime, an ISO text or seconds since 1970, not {}".format(type(given).__name__)
        )
    if given.tzinfo is None or given.utcoffset() is None:
        raise ValueError(
            "{} has no time zone, and so does not say which moment it is: use datetime.now(timezone.utc), or "
            "datetime(..., tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))".format(given.isoformat())
        )
    return given.timestamp()
