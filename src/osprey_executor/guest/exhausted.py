"""Which limit an uncaught error of the program is about, as far as the kernel tells."""

from __future__ import annotations

import errno
import os
from typing import Any

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  (looked at, never written)


def exhausted(error: BaseException) -> dict[str, Any] | None:
    """Return the limit and how much it grants here, which the service compares with what it set. Never raises."""
    try:
        return _exhausted(error)
    except Exception:
        return None


def _exhausted(error: BaseException) -> dict[str, Any] | None:
    kind = type(error)
    if issubclass(kind, MemoryError):
        return {"limit": "memory", "of": 0}
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return _full_disk()
    if number not in (errno.EMFILE, errno.EFBIG, errno.EAGAIN) and kind is not RuntimeError:
        return None
    import resource

    if number == errno.EMFILE:
        return {"limit": "open_files", "of": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    if number == errno.EFBIG:
        return {"limit": "file_size", "of": resource.getrlimit(resource.RLIMIT_FSIZE)[0]}
    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    # Both errors have other causes too: no thread, no process is only what it is at the limit.
    return {"limit": "processes", "of": most} if 0 < most <= _tasks() + 2 else None


def _full_disk() -> dict[str, Any] | None:
    places = ((os.getcwd(), "folder"), (os.environ.get("TMPDIR", "/tmp"), "tmp"), (_SHARED_MEMORY, "shm"))  # noqa: S108
    for path, name in places:
        try:
            room = os.statvfs(path)
        except OSError:
            continue
        if room.f_bfree == 0:
            return {"limit": name, "of": room.f_blocks * room.f_frsize}
        if room.f_ffree == 0 and name == "folder":
            return {"limit": "files", "of": room.f_files}
    return None


def _tasks() -> int:
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                total += len(os.listdir("/proc/" + name + "/task"))
            except OSError:
                continue
    return total
