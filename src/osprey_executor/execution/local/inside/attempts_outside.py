"""Tries what more must be refused where paths are the host's own; prints what it saw as `attempts` does."""

# A script for the interpreter inside: it tries the dangerous things on purpose, and prefers the plainest calls.
# ruff: noqa: PTH101, PTH116, PTH123, PTH208

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

KNOWN: dict[str, Any] = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)


def list_folders() -> str:
    """List what the host has above and beside the own folder."""
    refused: list[OSError] = []
    for folder in ("/", "/etc", "/home", "/proc", "/dev", "/dev/shm", "/tmp", "..", KNOWN["closed"][0]):  # noqa: S108
        try:
            return f"{folder} shows {len(os.listdir(folder))} names"
        except OSError as error:
            refused.append(error)
    raise refused[0]


def read_process() -> str:
    """Read what the kernel tells of processes, the own one included."""
    refused: list[OSError] = []
    for process in (*KNOWN["processes"], os.getppid(), "self"):
        for name in ("cmdline", "environ", "status", "maps"):
            try:
                with open(f"/proc/{process}/{name}", "rb"):
                    return f"/proc/{process}/{name} could be opened"
            except OSError as error:
                refused.append(error)
    raise refused[0]


def change_rights() -> str:
    """Change mode and times of a host file, which Landlock does not see."""
    before = os.stat(KNOWN["file"])
    try:
        os.chmod(KNOWN["file"], 0o600)
        os.utime(KNOWN["file"], (1, 1))
    except OSError as error:
        refused = error
    else:
        refused = PermissionError("answered as if done, and nothing was")
    after = os.stat(KNOWN["file"])
    if (before.st_mode, before.st_mtime) != (after.st_mode, after.st_mtime):
        return f"{KNOWN['file']} has other rights or times now"
    raise refused


def set_attribute() -> str:
    """Write an extended attribute of a host file."""
    os.setxattr(KNOWN["file"], "user.probe", b"x")
    return f"{KNOWN['file']} has an attribute now"


def own_attribute() -> str:
    """Reach for extended attributes even of an own file, which the owner of host files could do there too."""
    os.listxattr(".")
    return "extended attributes are within reach"


def open_unix_socket() -> str:
    """Open a socket that could be connected to others of this machine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM):
        return "it could be opened"


def turn_datagrams() -> str:
    """Turn one of a pair of datagram sockets to a socket of the host."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendto(b"probe", KNOWN["datagrams"])
    return f"{KNOWN['datagrams']} took it"


def watch_folder() -> str:
    """Be told of the names of files that change in a folder of the host."""
    descriptor = LIBC.inotify_init1(0)
    if descriptor < 0 or LIBC.inotify_add_watch(descriptor, b"/etc", 0xFFF) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "/etc")
    return "/etc could be watched"


def schedule_others() -> str:
    """Slow another process of the same user."""
    refused: list[OSError] = []
    for work in (
        lambda: os.sched_setaffinity(os.getppid(), {0}),
        lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    ):
        try:
            work()
        except OSError as error:
            refused.append(error)
        else:
            return f"process {os.getppid()} could be slowed"
    raise refused[0]


def hide() -> str:
    """Hide from the monitor how much memory is shared."""
    if LIBC.prctl(4, 0, 0, 0, 0) == 0:
        return "this process could make itself unreadable"
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), "PR_SET_DUMPABLE")


ATTEMPTS: dict[str, Callable[[], str]] = {
    "list folders of the host": list_folders,
    "read about a process": read_process,
    "change rights or times of a host file": change_rights,
    "set an attribute of a host file": set_attribute,
    "use extended attributes": own_attribute,
    "open a unix socket": open_unix_socket,
    "send a datagram to a unix socket of the host": turn_datagrams,
    "watch a folder of the host": watch_folder,
    "slow another process": schedule_others,
    "hide from the monitor": hide,
}

found: list[dict[str, str]] = []
for name, work in ATTEMPTS.items():
    outcome = "failed"
    try:
        detail = work()
    except OSError as error:
        outcome, detail = "ok", str(error)
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
    found.append({"name": name, "outcome": outcome, "detail": detail})
sys.stdout.write(json.dumps(found) + "\n")
