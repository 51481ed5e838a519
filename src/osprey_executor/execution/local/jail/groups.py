"""Control groups, as processes of one thread enter them: each moves itself.

To move another one, version 1 waits for all processors.
"""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os


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


def all_with_us() -> bool:
    """Whether every process that can be seen is in the groups of this one."""
    ours = _groups("self")
    return all(_groups(name) in (ours, b"") for name in os.listdir("/proc") if name.isdigit())


def _groups(process: str) -> bytes:
    try:
        with open(f"/proc/{process}/cgroup", "rb", buffering=0) as stream:
            return stream.read()
    except OSError:  # ended meanwhile
        return b""
