"""The environment of the code: made from nothing, with none of the service's."""

from __future__ import annotations

import os
import re
from pathlib import Path

LIBRARY = "/sandbox/lib"
CODE = "/sandbox/code.py"
INPUTS = "/sandbox/inputs"
FOLDER = "/sandbox/out"
RUNTIME = {"OSPREY_RUNTIME_FD": "3"}
"""Tells the guest's worker where its link to the service is."""
HOME = "/tmp/home"  # noqa: S108 - the jail's own
MATPLOTLIB = f"{HOME}/.matplotlib"
_ZONE = re.compile(r":?[A-Za-z0-9_+\-/,.]{1,100}")
_MOST_THREADS = 8
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")


def code_environment(executable: Path, *, library: str = LIBRARY, home: str = HOME) -> dict[str, str]:
    """Return the environment for a program that runs under `executable`."""
    threads = str(min(_MOST_THREADS, available_cores()))
    folders = dict.fromkeys((str(executable.parent), "/usr/local/bin", "/usr/bin", "/bin"))
    environment = {
        "PATH": ":".join(folders),
        "HOME": home,
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108
        "PYTHONPATH": library,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
        # pandas imports pyarrow where it is there, whose allocator would start a thread: a fork server can have none.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        **thread_limits(threads),
    }
    zone = os.environ.get("TZ", "")
    if _ZONE.fullmatch(zone):
        environment["TZ"] = zone
    return environment


def thread_limits(number: str) -> dict[str, str]:
    """Return the variables by which numerical libraries are told how many threads they may start."""
    return {f"{name}_NUM_THREADS": number for name in _THREADS}


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
