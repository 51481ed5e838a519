"""How much is in a folder that the code may write, seen while it writes."""

# pathlib costs an import, which every run would pay.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEEPEST = 64
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 512


class Uncountable(Exception):
    """Folders are nested too deeply, or closed to their own user; the message says which."""


class Contents:
    """What is below a folder."""

    def __init__(self, path: str) -> None:
        """Count what is below `path`.

        Raises:
            Uncountable: not all can be seen.
        """
        self.bytes = self.files = 0
        self._seen: set[int] = set()
        folder = os.open(path, _OPEN)
        self._device = os.fstat(folder).st_dev
        self._add(folder, 0)

    def add_nameless(self, processes: Iterable[str]) -> None:
        """Add the files without a name that `processes` hold open on the same file system."""
        for process in processes:
            try:
                for number in os.listdir(f"/proc/{process}/fd"):
                    status = os.stat(f"/proc/{process}/fd/{number}")
                    if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == self._device:
                        self._count(status)
            except OSError:  # ended meanwhile
                continue

    def _add(self, folder: int, depth: int) -> None:
        try:
            if depth > DEEPEST:
                raise Uncountable("deep")
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._add_entry(folder, entry, depth)
        finally:
            os.close(folder)

    def _add_entry(self, folder: int, entry: os.DirEntry[str], depth: int) -> None:
        try:
            self.files += 1
            self._count(entry.stat(follow_symlinks=False))
            if entry.is_dir(follow_symlinks=False):
                self._add(os.open(entry.name, _OPEN, dir_fd=folder), depth + 1)
        except PermissionError:
            raise Uncountable("closed") from None
        except OSError:  # gone meanwhile
            pass

    def _count(self, status: os.stat_result) -> None:
        if status.st_nlink != 1:
            if status.st_ino in self._seen:
                return
            self._seen.add(status.st_ino)
        self.bytes += status.st_blocks * _BLOCK
