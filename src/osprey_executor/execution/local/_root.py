"""The temporary folder of one engine. A service that was killed cannot remove its own: the next one does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from osprey_executor.errors import StorageError

_PREFIX = "osprey-executor-"
_LOCK = "lock"


@contextmanager
def temporary_root() -> Generator[Path]:
    """Make a folder that only this user can enter, and remove it at the end, with those of engines that were killed.

    Raises:
        StorageError: there is no room for it.
    """
    try:
        root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _hold(root)
    except OSError as error:
        raise StorageError(
            f"no temporary folder can be made ({error}): free space, or set TMPDIR to a folder that can be written"
        ) from error
    try:
        _sweep(root)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
        os.close(lock)


def _hold(root: Path) -> int:
    """Lock the folder for this process's life. The lock gets its name only when held: no sweeper comes between."""
    waiting = root / f"{_LOCK}.new"
    lock = os.open(waiting, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waiting.rename(root / _LOCK)
    return lock


def _sweep(own: Path) -> None:
    for folder in own.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if folder != own and stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_if_dead(folder)


def _remove_if_dead(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
