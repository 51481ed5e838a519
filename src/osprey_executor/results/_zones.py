"""Time zones as text and back: the key of the zone, `UTC`, or an offset from it."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?")


def zone_name(zone: tzinfo | None) -> str | None:
    """Return the text of a zone, or None where it has neither a key nor a fixed offset."""
    if zone is None:
        return None
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(key, str):
        return key
    if not isinstance(zone, timezone):
        return None
    offset = zone.utcoffset(None)
    if not offset:
        return "UTC"
    sign, size = ("-", -offset) if offset < timedelta(0) else ("+", offset)
    seconds, micro = divmod(size, timedelta(seconds=1))
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{micro.microseconds:06}" if micro else text


def zone_of(name: object) -> tzinfo | None:
    """Return the zone of that name, or None where it is no name of a zone, or this machine does not know it."""
    if name == "UTC":
        return UTC
    if not isinstance(name, str) or len(name) > 64:
        return None
    if found := _OFFSET.fullmatch(name):
        hours, minutes, seconds, micro = (int(part or 0) for part in found.groups()[1:])
        size = timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)
        return timezone(-size if found[1] == "-" else size) if size < timedelta(hours=24) else None
    try:
        return ZoneInfo(name) if _KEY.fullmatch(name) else None
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones is an OSError
        return None
