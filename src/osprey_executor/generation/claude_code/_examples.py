"""Copies of the example libraries: plain files only, few and small, so that nothing else comes along."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from osprey_executor.errors import ConfigurationError
from osprey_executor.generation.claude_code._schema import LibraryConfig
from osprey_executor.text import one_line

MOST_FILES = 2000
MOST_BYTES = 32 << 20
"""Of all libraries together."""
MOST_BYTES_A_FILE = 1 << 20
_DEEPEST = 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without it, a pipe that somebody left there would hold us.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def copy_libraries(libraries: Mapping[str, LibraryConfig], target: Path) -> int:
    """Copy each library to a folder of its name below `target`, read-only, and return the number of files.

    Left out are links, names with a dot in front (`.git`, `.env`), and files above 1 MiB.

    Raises:
        ConfigurationError: a directory is not there, or they hold more than fits.
    """
    copy = _Copy()
    for name, library in libraries.items():
        for folder in library.directories:
            source = _opened(name, folder)
            try:
                copy.folder(source, _free(target / name / folder.resolve().name), name)
            finally:
                os.close(source)
    return copy.files


def check_libraries(libraries: Mapping[str, LibraryConfig]) -> None:
    """Look whether each directory is there.

    Raises:
        ConfigurationError: one is not, or cannot be read.
    """
    for name, library in libraries.items():
        for folder in library.directories:
            os.close(_opened(name, folder))


def _opened(name: str, folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(
            f"codebase_guidance.{name}.directories: {one_line(str(folder), 300)} cannot be read: "
            f"{error.strerror}; mend the path or remove it"
        ) from None


def _free(target: Path) -> Path:
    """Return the path, or one that is not taken by another directory of the same name."""
    others = (target.with_name(f"{target.name}-{number}") for number in range(2, MOST_FILES))
    return target if not target.exists() else next(other for other in others if not other.exists())


class _Copy:
    def __init__(self) -> None:
        self.files = 0
        self._bytes = 0

    def folder(self, source: int, target: Path, library: str, depth: int = 0) -> None:
        """Copy what the descriptor `source` holds; names are looked up in it, so none can be swapped on the way."""
        target.mkdir(parents=True, exist_ok=True)
        with os.scandir(source) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False) and depth < _DEEPEST:
                try:
                    inner = os.open(entry.name, _FOLDER, dir_fd=source)
                except OSError:
                    continue
                try:
                    self.folder(inner, target / entry.name, library, depth + 1)
                finally:
                    os.close(inner)
            elif entry.is_file(follow_symlinks=False):
                self._file(source, entry.name, target, library)
        target.chmod(0o555)

    def _file(self, source: int, name: str, target: Path, library: str) -> None:
        try:
            descriptor = os.open(name, _FILE, dir_fd=source)
        except OSError:
            return
        with os.fdopen(descriptor, "rb") as file:
            known = os.fstat(descriptor)
            if not stat.S_ISREG(known.st_mode) or known.st_size > MOST_BYTES_A_FILE:
                return
            content = file.read(MOST_BYTES_A_FILE)
        self.files += 1
        self._bytes += len(content)
        if self.files > MOST_FILES or self._bytes > MOST_BYTES:
            raise ConfigurationError(
                f"codebase_guidance.{library}.directories: the example libraries hold more than {MOST_FILES} files or "
                f"{MOST_BYTES >> 20} MiB; name narrower directories"
            )
        made = target / name
        made.write_bytes(content)
        made.chmod(0o444)
