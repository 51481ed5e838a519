"""Which kernels a service has: written down before they are used, so that those of one that was killed are found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osprey_executor.errors import StorageError

_SUFFIX = ".jsonl"


class Ledger:
    """The kernels of one engine, in a file that is locked for as long as the engine lives."""

    def __init__(self, folder: Path, url: str) -> None:
        """Begin a file in `folder`, for kernels of the server at `url`.

        Raises:
            StorageError: it cannot be written.
        """
        self._url = url
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
            waiting = self._path.with_suffix(".new")
            self._file = os.open(waiting, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            # Locked before it has its name: nobody takes it for that of a dead service.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            waiting.rename(self._path)
        except OSError as error:
            raise StorageError(f"kernels cannot be recorded in {folder}: {error.strerror}") from error
        self._kernels: set[str] = set()

    def add(self, kernel: str) -> None:
        """Record a kernel, durably.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            _append(self._file, {"url": self._url, "kernel": kernel})
            os.fsync(self._file)
        except OSError as error:
            raise StorageError(f"a kernel cannot be recorded in {self._path}: {error.strerror}") from error
        self._kernels.add(kernel)

    def remove(self, kernel: str) -> None:
        """Note that a kernel is gone; if that is lost, it is looked for once more, and not found."""
        self._kernels.discard(kernel)
        with contextlib.suppress(OSError):
            _append(self._file, {"url": self._url, "gone": kernel})

    def close(self) -> None:
        """Let go of the file; one that names kernels which may still be there stays for the next engine."""
        if not self._kernels:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def orphans(self) -> Iterator[Orphans]:
        """Yield the files of services that are gone and that had kernels of this server, each locked meanwhile."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path == self._path:
                continue
            with contextlib.suppress(OSError), path.open("r+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if found := Orphans(path, stream.read(), self._url):
                    yield found


class Orphans:
    """The kernels of a service that is gone."""

    def __init__(self, path: Path, content: bytes, url: str) -> None:
        """Read what the file at `path` says."""
        self._path = path
        left = dict[str, str]()
        for line in content.splitlines():
            entry = _entry(line)
            if (kernel := entry.get("kernel")) is not None:
                left[kernel] = entry.get("url", "")
            elif (kernel := entry.get("gone")) is not None:
                left.pop(kernel, None)
        self.kernels = [kernel for kernel, where in left.items() if where == url]
        self._others = len(left) > len(self.kernels)
        if not left:
            path.unlink(missing_ok=True)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.kernels)

    def settle(self) -> None:
        """Forget them: all are gone."""
        if not self._others:
            self._path.unlink(missing_ok=True)


def _append(file: int, entry: dict[str, str]) -> None:
    os.write(file, json.dumps(entry).encode("ascii") + b"\n")


def _entry(line: bytes) -> dict[str, str]:
    """Return what a line says; nothing for the last one of a service that was killed while it wrote."""
    try:
        told: Any = json.loads(line)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
