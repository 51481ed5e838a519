"""The working folder of a program, rebuilt here from what its kernel sends. Names, kinds and sizes are hostile.

What is rebuilt lies in a folder of its own, from which the collector of every engine takes what may be kept.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_DEEPEST = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Forged(Exception):
    """What came is not what the relay would send."""


class Unpacker:
    """Writes below one folder, and never more than the limits allow. Its methods are for a thread."""

    def __init__(self, root: Path, *, most_bytes: int, most_files: int) -> None:
        """Make the folder `root`."""
        root.mkdir(mode=0o700)
        self._bytes, self._files = most_bytes, most_files
        self._open = [os.open(root, _FOLDER)]
        self._file: int | None = None

    @property
    def folder(self) -> int:
        """A descriptor of the folder; this object's."""
        return self._open[0]

    def take(self, items: Sequence[dict[str, Any]]) -> None:
        """Rebuild some more.

        Raises:
            Forged: a name leads elsewhere, or it is more than was allowed.
            OSError: it cannot be written.
        """
        for item in items:
            if "more" in item:
                self._write(item["b"])
                continue
            self._end_file()
            if "leave" in item:
                if len(self._open) == 1:
                    raise Forged("a folder left that was not entered")
                os.close(self._open.pop())
            else:
                self._make(item)

    def close(self) -> None:
        """Let go of everything."""
        self._end_file()
        while self._open:
            os.close(self._open.pop())

    def _make(self, item: dict[str, Any]) -> None:
        self._files -= 1
        if self._files < 0 or len(self._open) > _DEEPEST:
            raise Forged("more files than limits.files allows")
        at = self._open[-1]
        name = _name(item.get("enter") or item.get("file") or item.get("odd"))
        if "enter" in item:
            os.mkdir(name, 0o700, dir_fd=at)
            self._open.append(os.open(name, _FOLDER, dir_fd=at))
        elif "file" in item:
            self._file = os.open(name, _NEW, 0o600, dir_fd=at)
            size = item.get("size")
            if type(size) is not int or not 0 <= size < 1 << 60:
                raise Forged("a file of no size")
            os.truncate(self._file, min(size, 1 << 40))  # its content follows; else it was too large to be sent
        elif item.get("kind") == "link":
            os.symlink("left-out", name, dir_fd=at)
        else:
            kind = 0o140000 if item.get("kind") == "socket" else 0o010000
            os.mknod(name, kind | 0o600, dir_fd=at)

    def _write(self, content: Any) -> None:
        if self._file is None:
            raise Forged("content of no file")
        try:
            data = base64.b64decode(content, validate=True)
        except (ValueError, TypeError, binascii.Error):
            raise Forged("content that cannot be read") from None
        self._bytes -= len(data)
        if self._bytes < 0:
            raise Forged("more than limits.folder allows")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _end_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _name(told: Any) -> bytes:
    try:
        name = base64.b64decode(told, validate=True)
    except (ValueError, TypeError, binascii.Error):
        raise Forged("a name that cannot be read") from None
    if not name or len(name) > 255 or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise Forged("a name that leads elsewhere")
    return name
