"""Copies of the example libraries: plain files only, few and small, so that nothing else comes along."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from osprey_executor.errors import ConfigurationError, GeneratorUnavailableError
from osprey_executor.generation.claude_code._schema import LibraryConfig
from osprey_executor.text import one_line

MOST_FILES = 2000
MOST_BYTES = 32 << 20
"""Of all libraries together."""
MOST_BYTES_A_FILE = 1 << 20
MOST_ENTRIES = 20_000
"""Of all folders together, what is left out among them: each is looked at."""
_DEEPEST = 20
_LAST_FILE = 5.0
"""Seconds that a copy which is no longer wanted may take to end."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without it, a pipe that somebody left there would hold us.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@asynccontextmanager
async def copied(libraries: Mapping[str, LibraryConfig], target: Path) -> AsyncGenerator[asyncio.Task[int]]:
    """Copy libraries as `copy_libraries` does, beside whatever else is done; at the end no copy goes on."""
    stopped = threading.Event()
    copying = asyncio.create_task(asyncio.to_thread(copy_libraries, libraries, target, stopped))
    try:
        yield copying
    finally:
        stopped.set()
        # A thread cannot be cancelled, and would go on to fill a folder that is about to be removed.
        await asyncio.wait([copying], timeout=_LAST_FILE)
        if copying.done() and not copying.cancelled():
            copying.exception()  # looked at, else asyncio would complain of it later


def copy_libraries(libraries: Mapping[str, LibraryConfig], target: Path, stopped: threading.Event | None = None) -> int:
    """Copy each library to a folder of its name below `target`, read-only, and return the number of files.

    Left out are symbolic links, names with a dot in front (`.git`, `.env`), files above 1 MiB, and what is no file or
    cannot be read. What changes meanwhile is copied as it is found.

    Raises:
        ConfigurationError: a directory is not there, or they hold more than fits.
        GeneratorUnavailableError: the copies cannot be written.
    """
    copy = _Copy(stopped or threading.Event())
    for name, library in libraries.items():
        for folder in library.directories:
            source = _opened(name, folder)
            try:
                copy.folder(source, _free(target / name / folder.resolve().name), name)
            except OSError as error:
                raise GeneratorUnavailableError(
                    f"the example library {name} cannot be copied to {target}: {error.strerror or error}; make room "
                    "there, or set TMPDIR to another folder"
                ) from None
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
    def __init__(self, stopped: threading.Event) -> None:
        self.files = 0
        self._stopped = stopped
        self._entries = 0
        self._bytes = 0

    def folder(self, source: int, target: Path, library: str, depth: int = 0) -> None:
        """Copy what the descriptor `source` holds; names are looked up in it, so none can be swapped on the way."""
        target.mkdir(parents=True, exist_ok=True)
        for entry in self._listed(source, library):
            if self._stopped.is_set():
                return
            if entry.name.startswith("."):
                continue
            if _is(entry.is_dir) and depth < _DEEPEST:
                try:
                    inner = os.open(entry.name, _FOLDER, dir_fd=source)
                except OSError:
                    continue
                try:
                    self.folder(inner, target / entry.name, library, depth + 1)
                finally:
                    os.close(inner)
            elif _is(entry.is_file) and (content := _content(source, entry.name)) is not None:
                self._keep(content, target / entry.name, library)
        target.chmod(0o555)

    def _listed(self, source: int, library: str) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(source) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES:
                        raise _too_much(library, f"{MOST_ENTRIES} entries")
                    found.append(entry)
        except OSError:
            pass  # removed, or its server is away
        return sorted(found, key=lambda entry: entry.name)

    def _keep(self, content: bytes, target: Path, library: str) -> None:
        self.files += 1
        self._bytes += len(content)
        if self.files > MOST_FILES or self._bytes > MOST_BYTES:
            raise _too_much(library, f"{MOST_FILES} files or {MOST_BYTES >> 20} MiB")
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        with os.fdopen(made, "wb") as file:
            file.write(content)


def _is(kind: Callable[..., bool]) -> bool:
    try:
        return kind(follow_symlinks=False)
    except OSError:
        return False


def _content(folder: int, name: str) -> bytes | None:
    """Return what a plain file holds; None: it is none, too large, or cannot be read."""
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            known = os.fstat(descriptor)
            if not stat.S_ISREG(known.st_mode) or known.st_size > MOST_BYTES_A_FILE:
                return None
            return file.read(MOST_BYTES_A_FILE)
    except OSError:
        return None


def _too_much(library: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"codebase_guidance.{library}.directories: the example libraries hold more than {what}; name narrower "
        "directories"
    )
