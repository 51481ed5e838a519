"""Runs the CLI within Landlock, without the files, ports and privileges of the service, and ends all that it leaves.

It runs as a script, with nothing but the standard library. The CLI starts shells in sessions of their own, which no
signal to a group reaches; this process adopts whatever is orphaned below it, so that it can end all of it.
Source: Linux, Documentation/userspace-api/landlock.rst, prctl(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import NoReturn, TypedDict

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH, _NET_PORT = 1, 1, 2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_CONNECT_TCP, _BIND_AND_CONNECT, _SCOPES = 2, 3, 3
_MOST_BYTES = 64 << 20
"""Of one file that the CLI writes."""
REFUSED = 125
"""Exit code of a start that did not come to the CLI."""
_ORDERS = {signal.SIGTERM, signal.SIGCHLD}

_libc = ctypes.CDLL(None, use_errno=True)


class Confinement(TypedDict):
    """What the CLI may touch; a path that is not there is left out."""

    parent: int
    """The service; where it has ended, nothing starts."""
    landlock: bool
    readable: list[str]
    writable: list[str]
    ports: list[int]
    """TCP ports of servers."""


def landlock_version() -> int:
    """Return the version of the kernel's Landlock, 0 where there is none. From 4 on it knows TCP, from 6 on signals."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, 0, _VERSION))


def main() -> None:
    """Run the command after the first argument, confined as that says; SIGTERM ends it."""
    told: Confinement = json.loads(sys.argv[1])
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ORDERS)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != told["parent"]:
            sys.exit(REFUSED)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _children()  # a kernel that does not tell them is refused before there are any
        cli = os.fork()
        if cli == 0:
            _become(sys.argv[2:], told, os.getppid())
        # Else nobody would hear that the CLI has closed them.
        os.closerange(0, 3)
        code = _accompany(cli)
        _end_family()
        sys.exit(code)
    except OSError as error:
        _complain(error)


def _become(command: list[str], told: Confinement, parent: int) -> None:
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(REFUSED)
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if told["landlock"]:
            _restrict(told)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ORDERS)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        _complain(error)


def _accompany(cli: int) -> int:
    """Return the exit code of the CLI once it has ended, or 0 as soon as its end is ordered."""
    while signal.sigwait(_ORDERS) != signal.SIGTERM:
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == cli:
                return os.waitstatus_to_exitcode(status) & 0xFF
            if process == 0:
                break
    return 0


def _end_family() -> None:
    """Kill the children of this process until there are none: whatever they leave becomes its child."""
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:  # noqa: PTH123 - pathlib takes long to import
        return [int(child) for child in file.read().split()]


def _complain(error: OSError) -> NoReturn:
    os.write(2, f"{error.filename or 'start'}: {error.strerror}\n".encode(errors="replace"))
    os._exit(REFUSED)


def _restrict(told: Confinement) -> None:
    version = landlock_version()
    files = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    tcp = _BIND_AND_CONNECT if version >= 4 else 0
    wanted = struct.pack("QQQ", files, tcp, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_CREATE_RULESET, wanted, size, 0)
    for path in told["readable"]:
        _allow(ruleset, path, _READ & files)
    for path in told["writable"]:
        _allow(ruleset, path, files & ~_EXECUTE)
    for port in told["ports"] if tcp else ():
        _call(_ADD_RULE, ruleset, _NET_PORT, struct.pack("QQ", _CONNECT_TCP, port), 0)
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if os.fstat(place).st_mode & 0o170000 != 0o040000:
        rights &= _OF_A_FILE
    _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) < 0:
        raise _error("prctl")


def _call(number: int, *arguments: int | bytes) -> int:
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = _libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        raise _error("landlock")
    return result


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
