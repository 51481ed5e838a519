"""Control groups, as processes of one thread enter them: each moves itself.

To move another one, version 1 waits for all processors.
"""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH208

from __future__ import annotations

import os
import time

_LOOKS, _PAUSE = 50, 0.002
"""A process that was just forked may not have had its turn yet."""
_MOST_GROUPS = 4096


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
        time.sleep(_PAUSE)
        if not _another_is_there():
            continue
        seen = [_groups(name) for name in os.listdir("/proc") if name.isdigit()]
        if len(seen) > 1 and all(groups in (ours, b"") for groups in seen):
            return True
    return False


def _another_is_there() -> bool:
    """Tell whether this pid 1 is alone in its namespace; a look into /proc costs thirty times as much."""
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        return False
    return True


def _groups(process: str) -> bytes:
    try:
        stream = os.open(f"/proc/{process}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # ended meanwhile
        return b""
    try:
        return os.read(stream, _MOST_GROUPS)
    except OSError:
        return b""
    finally:
        os.close(stream)
