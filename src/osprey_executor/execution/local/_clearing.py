"""Removes what hostile code left in a folder of the host: nested without end, or closed to its own user."""

# pathlib knows no descriptors.
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def clear(folder: str | Path) -> None:
    """Remove `folder` with all that is in it.

    Each folder found is first moved to the top, so neither depth nor the length of a path matters.
    """
    with contextlib.suppress(OSError), _opened(folder) as top:
        _flatten(top)
    shutil.rmtree(folder, ignore_errors=True)


def _flatten(top: int) -> None:
    numbers = itertools.count()
    waiting = [name for name in os.listdir(top) if _is_folder(name, top)]
    while waiting:
        with contextlib.suppress(OSError), _opened(waiting.pop(), top) as found:
            for name in os.listdir(found):
                if _is_folder(name, found):
                    with _opened(name, found):  # else it could not be moved
                        waiting.append(_lift(name, found, top, numbers))


@contextmanager
def _opened(path: str | Path, beside: int | None = None) -> Generator[int]:
    """Open a folder, but never what a link leads to, and take the right to do so where it is missing."""
    handle = os.open(path, _HANDLE, dir_fd=beside)
    try:
        itself = f"/proc/self/fd/{handle}"
        Path(itself).chmod(0o700)
        folder = os.open(itself, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    try:
        yield folder
    finally:
        os.close(folder)


def _lift(name: str, found: int, top: int, numbers: itertools.count[int]) -> str:
    """Move a folder to the top under a name that is free there, and return it."""
    for number in numbers:
        target = f"cleared-{number}"
        try:
            os.stat(target, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, target, src_dir_fd=found, dst_dir_fd=top)
            return target
    raise AssertionError


def _is_folder(name: str, folder: int) -> bool:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode & 0o170000 == 0o040000
