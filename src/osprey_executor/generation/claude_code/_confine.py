"""Runs the CLI within Landlock, without the files, ports and privileges of the service, and ends all that it leaves.

It runs by itself, with what little of the standard library loads at once. The CLI starts shells in sessions of their
own, which no signal to a group reaches; this process adopts whatever is orphaned below it, so that it can end all of
it. Source: Linux, Documentation/userspace-api/landlock.rst, prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH, _NET_PORT = 1, 1, 2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _SIGKILL = 1, 36, 38, 9
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_CONNECT_TCP, _BIND_AND_CONNECT, _SCOPES = 2, 3, 3
_MOST_BYTES = 64 << 20
"""Of one file that the CLI writes."""
REFUSED = 125
"""Exit code of a start that did not come to the CLI."""

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """Return the version of the kernel's Landlock, 0 where there is none. From 4 on it knows TCP, from 6 on signals."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, 0, _VERSION))


def confined(
    command: list[str], control: int, *, landlock: bool, readable: list[str], writable: list[str], ports: list[int]
) -> list[str]:
    """Return the arguments with which this script runs `command`, until nobody holds the other end of `control`.

    `ports` are those of TCP servers; a path that is not there is left out.
    """
    may = [*(f"r{path}" for path in readable), *(f"w{path}" for path in writable), *(f"p{port}" for port in ports)]
    return [str(control), *(may if landlock else ()), "--", *command]


def main() -> None:
    """Run the command after `--`, confined as what is before it says."""
    end = sys.argv.index("--")
    control, may, command = int(sys.argv[1]), sys.argv[2:end], sys.argv[end + 1 :]
    try:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _children()  # a kernel that does not tell them is refused before there are any
        cli = os.fork()
        if cli == 0:
            os.close(control)
            _become(command, may, os.getppid())
        # Else nobody would hear that the CLI has closed them.
        os.closerange(0, 3)
        code = _accompany(cli, control)
        _end_family()
        os._exit(code)
    except OSError as error:
        _complain(error)


def _become(command: list[str], may: list[str], parent: int) -> None:
    try:
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(REFUSED)
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        if may:
            _restrict(may)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        _complain(error)


def _accompany(cli: int, control: int) -> int:
    """Return the exit code of the CLI once it has ended, or 0 as soon as its end is ordered, or the service is gone."""
    ended = os.pidfd_open(cli)
    poll = select.poll()
    for descriptor in (ended, control):
        poll.register(descriptor, select.POLLIN)
    if ended not in dict(poll.poll()):
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(cli, 0)[1]) & 0xFF


def _end_family() -> None:
    """Kill the children of this process until there are none: whatever they leave becomes its child."""
    while children := _children():
        for child in children:
            os.kill(child, _SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:  # noqa: PTH123 - pathlib takes long to import
        return [int(child) for child in file.read().split()]


def _complain(error: OSError) -> NoReturn:
    os.write(2, f"{error.filename or 'start'}: {error.strerror}\n".encode(errors="replace"))
    os._exit(REFUSED)


def _restrict(may: list[str]) -> None:
    version = landlock_version()
    files = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    tcp = _BIND_AND_CONNECT if version >= 4 else 0
    wanted = struct.pack("QQQ", files, tcp, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call(_CREATE_RULESET, wanted, size, 0)
    for allowed in may:
        kind, what = allowed[0], allowed[1:]
        if kind == "r":
            _allow(ruleset, what, _READ & files)
        elif kind == "w":
            _allow(ruleset, what, files & ~_EXECUTE)
        elif tcp:
            _call(_ADD_RULE, ruleset, _NET_PORT, struct.pack("QQ", _CONNECT_TCP, int(what)), 0)
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
