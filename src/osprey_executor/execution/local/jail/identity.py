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


def enter_user_namespace(spec: JailSpec, proc: str = "/proc") -> None:
    """Move this process into a new user namespace with its map written; it holds every capability there."""
    if spec["identity_map"]:
        _enter_as_root(proc)
    else:
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        map_one(f"{proc}/self", spec["code_id"], user, group)


def map_one(process: str, inside: int, user: int, group: int) -> None:
    """Write the maps of a process below /proc whose user namespace is new: one id inside, the caller's own."""
    _write(f"{process}/setgroups", "deny")
    _write(f"{process}/uid_map", f"{inside} {user} 1")
    _write(f"{process}/gid_map", f"{inside} {group} 1")


def map_some(process: str, ids: tuple[int, ...]) -> None:
    """Write the maps of a process below /proc so that only these ids are there, each standing for itself."""
    for name in ("uid_map", "gid_map"):
        _write(f"{process}/{name}", "".join(f"{number} {number} 1\n" for number in ids))


def map_all(process: str, own: str) -> None:
    """Write the maps of a process below /proc so that every id that `own` (below /proc, too) has stands for itself."""
    for name in ("uid_map", "gid_map"):
        _write(f"{process}/{name}", _identity(f"{own}/{name}"))


def _enter_as_root(proc: str) -> None:
    ready, tell = os.pipe()
    target = os.getpid()
    writer = os.fork()
    if writer == 0:  # stays outside: only there is the power to map more than one id
        status = 1
        try:
            os.close(tell)
            if os.read(ready, 1):
                map_all(f"{proc}/{target}", "/proc/self")
                status = 0
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
    # Bytes: inside, a codec may be missing that this Python has not loaded yet.
    with open(path, "rb") as stream:
        ranges = [line.decode().split() for line in stream]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in ranges)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
