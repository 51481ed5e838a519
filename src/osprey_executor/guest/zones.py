"""Time zones as text and back: the key of the zone where it has one, else its offset from UTC."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from typing import Any

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?")


def zone_name(zone: Any) -> str | None:
    """Return `Europe/Berlin`, `UTC`, `+02:00`, or None for a zone that has no name and no fixed offset."""
    if zone is None:
        return None
    for attribute in ("key", "zone"):
        key = getattr(zone, attribute, None)
        if type(key) is str and key:
            return key
    if isinstance(zone, timezone):
        offset = timezone.utcoffset(zone, None)
        if not offset:
            return "UTC"
        sign, size = ("-", -offset) if offset < timedelta(0) else ("+", offset)
        minutes, seconds = divmod(size.days * 86400 + size.seconds, 60)
        text = "{}{:02}:{:02}".format(sign, *divmod(minutes, 60))
        if seconds or size.microseconds:
            text += ":{:02}".format(seconds)
        return text + (".{:06}".format(size.microseconds) if size.microseconds else "")
    return None


def zone_of(name: str) -> tzinfo | None:
    """Return the zone of that name, or None where this machine does not know it."""
    if name == "UTC":
        return timezone.utc
    found = _OFFSET.fullmatch(name)
    if found:
        hours, minutes, seconds, micro = (int(part or 0) for part in found.groups()[1:])
        size = timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)
        return timezone(-size if found[1] == "-" else size)
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo(name)
    except Exception:
        return None
