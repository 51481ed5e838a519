"""The user namespace: who is who inside.

An ordinary user is one id inside, mapped to the own one. For root every id stands for itself: binds below folders of
mode 0700, such as root's home, are possible only with a capability over ids that are mapped.
"""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH123

from __future__ import annotations

import os

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import JailSpec


def enter_user_namespace(spec: JailSpec) -> None:
    """Move this process into a new user namespace with its map written; it holds every capability there."""
    if spec["identity_map"]:
        _enter_as_root()
    else:
        _enter_as_user(spec["code_id"])


def _enter_as_user(inside: int) -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside} {user} 1")
    _write("/proc/self/gid_map", f"{inside} {group} 1")


def _enter_as_root() -> None:
    maps = [(name, _identity(f"/proc/self/{name}")) for name in ("uid_map", "gid_map")]
    ready, tell = os.pipe()
    target = os.getpid()
    writer = os.fork()
    if writer == 0:  # stays outside: only there is the power to map more than one id
        status = 0
        try:
            os.close(tell)
            if os.read(ready, 1):
                for name, lines in maps:
                    _write(f"/proc/{target}/{name}", lines)
        except OSError as error:
            status = error.errno or 1
        finally:
            os._exit(status)
    kernel.unshare(kernel.CLONE_NEWUSER)
    os.write(tell, b"!")
    status = os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1])
    os.close(ready)
    os.close(tell)
    if status:
        raise OSError(status, os.strerror(status), "uid_map")


def _identity(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        ranges = [line.split() for line in stream]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in ranges)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
