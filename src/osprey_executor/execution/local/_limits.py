"""Limits of one process, as the kernel keeps them. Those of the whole tree are the monitor's."""

from __future__ import annotations

import math
import os
import re
import resource

from osprey_executor.models import Limits

_SLACK = 512 << 20
"""Room above `limits.memory` before one process alone is refused memory: programs reserve more than they use."""
_OWN_TASKS = 2
"""Launcher and monitor, which count against the code's user where that is the service's own."""
_ONE_TOO_MANY = 1
"""The kernel grants one task above the limit, so that the watch sees it passed, ends the run and says why."""
_COUNTED_PER_NAMESPACE = (5, 14)
"""Since this kernel RLIMIT_NPROC counts the processes of one user namespace, not all that the user has."""


def resource_limits(limits: Limits, *, own_processes: bool, own_user: bool = False) -> list[tuple[int, int, int]]:
    """Return (which, soft, hard) for each process of the code.

    Args:
        limits: of the run.
        own_processes: the code is counted in a user namespace of its own.
        own_user: in it, it has a user of its own.
    """
    seconds = math.ceil(cpu_limit(limits))
    largest = max(limits.folder, limits.tmp)
    data = limits.memory + _SLACK
    space = 2 * data + (4 << 30)
    wanted: list[tuple[str, int, int]] = [
        ("CPU", seconds, seconds + 2),  # SIGXCPU first, which tells why
        ("DATA", data, data),
        ("AS", space, space),
        ("FSIZE", largest, largest),
        ("NOFILE", limits.open_files, limits.open_files),
        ("CORE", 1, 1),  # 0 would still hand the dump to a program of the host, where one is set (core(5))
        ("MSGQUEUE", 0, 0),
        ("RTPRIO", 0, 0),
        ("NICE", 0, 0),
    ]
    if own_processes and _kernel_version() >= _COUNTED_PER_NAMESPACE:
        tasks = limits.processes + _ONE_TOO_MANY + (0 if own_user else _OWN_TASKS)
        wanted.append(("NPROC", tasks, tasks))
    return [
        (getattr(resource, f"RLIMIT_{name}"), soft, hard)
        for name, soft, hard in wanted
        if hasattr(resource, f"RLIMIT_{name}")
    ]


def cpu_limit(limits: Limits) -> float:
    """Return the processor time that a run may take in all its processes (s)."""
    return limits.cpu_time or 4 * limits.timeout


def _kernel_version() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
