"""The name under which a connector's child writes: EPICS takes it from the account, so the account gets another one.

libca and pvxs ask getpwuid(3) and can be told nothing else (`ca_modify_user_name` of cadef.h does nothing). In a mount
namespace of its own, a child finds a password file in which its user id has the name that is wanted.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
from pathlib import Path

VARIABLE = "OSPREY_EXECUTOR_EPICS_USER"
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_PASSWD = Path("/etc/passwd")


def take_name() -> None:
    """Take the name that the variable says, if there is one; to be called while the process has one thread.

    Where the kernel allows no namespaces it stays the account's own, which servers log then.
    """
    name = os.environ.get(VARIABLE)
    if name:
        with contextlib.suppress(OSError):
            _take(name, os.getuid(), os.getgid())


def _take(name: str, user: int, group: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _done(libc.unshare(_CLONE_NEWNS if user == 0 else _CLONE_NEWUSER | _CLONE_NEWNS))
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _done(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(_passwd(name, user, group))
        file.flush()
        Path(file.name).chmod(0o644)
        _done(libc.mount(os.fsencode(file.name), os.fsencode(_PASSWD), None, _MS_BIND, None))


def _passwd(name: str, user: int, group: int) -> str:
    """Return a password file in which the user id has that name, and no other one."""
    lines = _PASSWD.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    others = [line for line in lines if line.split(":")[2:3] != [str(user)] and line.split(":")[0] != name]
    return "\n".join([f"{name}:x:{user}:{group}::/:/usr/sbin/nologin", *others]) + "\n"


def _done(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
