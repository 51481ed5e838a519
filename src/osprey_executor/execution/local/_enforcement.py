"""Which mechanism keeps which limit of a run, in the words of `doctor` and of the record."""

from __future__ import annotations

from collections.abc import Mapping

Enforced = dict[str, tuple[str, ...]]
"""Field of `Limits` to what keeps it."""

_SERVICE = {"timeout": ("service",), "output": ("service",), "results": ("service",)}
_TMPFS = ("size of a tmpfs",)
_EACH = "rlimit of each process"

JAIL: Enforced = {
    **_SERVICE,
    "memory": ("watchdog",),
    "processes": ("watchdog", "rlimit"),
    "cpu_time": ("watchdog", _EACH),
    "open_files": (_EACH,),
    "folder": _TMPFS,
    "files": _TMPFS,
    "tmp": _TMPFS,
}
RESTRICTED: Enforced = {
    **_SERVICE,
    "memory": ("watchdog",),
    "processes": ("watchdog",),
    "cpu_time": (_EACH,),
    "open_files": (_EACH,),
    "folder": ("watchdog",),
    "files": ("watchdog",),
    "tmp": ("watchdog",),
}
PLAIN: Enforced = {**_SERVICE, "memory": (_EACH,), "cpu_time": (_EACH,), "open_files": (_EACH,)}
"""What is not here is not limited."""


def enforced(always: Enforced, by_group: Mapping[str, str]) -> Enforced:
    """Return what keeps each limit where a control group keeps some of them too."""
    return {
        limit: (by_group[limit], *mechanisms) if limit in by_group else mechanisms
        for limit, mechanisms in always.items()
    }
