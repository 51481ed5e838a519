"""Control groups, as processes of one thread enter them: each moves itself.

To move another one, version 1 waits for all processors.
"""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import time

_LOOKS, _PAUSE = 50, 0.002
"""A process that was just forked may not have had its turn yet."""


def enter(doors: list[int]) -> bool:
    """Move this process by writing to the descriptors, and close them; False: it stays where it was, or in part."""
    entered = True
    for descriptor in doors:
        try:
            os.write(descriptor, b"0")
        except OSError:
            entered = False
        os.close(descriptor)
    return entered


def all_join_us() -> bool:
    """Whether another process is there and all are in the groups of this one, or are so in a moment."""
    ours = _groups("self")
    for _ in range(_LOOKS):
        seen = [_groups(name) for name in os.listdir("/proc") if name.isdigit()]
        if len(seen) > 1 and all(groups in (ours, b"") for groups in seen):
            return True
        time.sleep(_PAUSE)
    return False


def _groups(process: str) -> bytes:
    try:
        with open(f"/proc/{process}/cgroup", "rb", buffering=0) as stream:
            return stream.read()
    except OSError:  # ended meanwhile
        return b""
