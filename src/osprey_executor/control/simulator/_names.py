"""The channels of the virtual accelerator by name; light, for whoever asks whether it has one."""

from __future__ import annotations

import re

MONITORS = 36
CORRECTORS = 16
"""In each plane."""
_KNOWN = re.compile(r"VA:(?:BPM:(?P<monitor>\d\d):[XY]|ORBIT:[XY]|[HV]CM:(?P<corrector>\d\d):(?:SP|RB)|DCCT)(?:\.VAL)?")


def knows(channel: str) -> bool:
    """Return whether the virtual accelerator has a channel. Its identity does not count: each has its own."""
    found = _KNOWN.fullmatch(channel)
    if found is None:
        return False
    monitor, corrector = found["monitor"], found["corrector"]
    return (monitor is None or 1 <= int(monitor) <= MONITORS) and (
        corrector is None or 1 <= int(corrector) <= CORRECTORS
    )


def setpoints() -> list[str]:
    """Return the channels by which it is moved."""
    return [f"VA:{plane}CM:{number:02d}:SP" for plane in "HV" for number in range(1, CORRECTORS + 1)]
