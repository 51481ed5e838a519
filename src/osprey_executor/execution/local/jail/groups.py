"""Control groups, as processes of one thread enter them: each moves itself.

To move another one, version 1 waits for all processors.
"""

from __future__ import annotations

import os
import time

_LOOKS, _PAUSE = 100, 0.001
"""A process that was just forked may not have had its turn yet."""
_MOST_GROUPS = 4096
_MOST_PROCESSES = 64


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
    """Whether another process is there and all are in the groups of this pid 1, or are so in a moment."""
    ours = _read("/proc/self/cgroup")
    for _ in range(_LOOKS):
        # The last field is the last number given in this namespace: to list /proc costs more than all else here.
        last = int(_read("/proc/loadavg").split()[-1])
        seen = [_read(f"/proc/{number}/cgroup") for number in range(2, min(last, _MOST_PROCESSES) + 1)]
        if any(seen) and last <= _MOST_PROCESSES and all(groups in (ours, b"") for groups in seen):
            return True
        time.sleep(_PAUSE)
    return False


def _read(path: str) -> bytes:
    try:
        stream = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # ended meanwhile
        return b""
    try:
        return os.read(stream, _MOST_GROUPS)
    except OSError:
        return b""
    finally:
        os.close(stream)
