"""The working folder of a program that is over, as items: what lies there, and what is in its regular files.

`enter` and `leave` a folder, `file` with its size and then `more` of its content, and `odd` for what is neither. Names
are bytes in base64. The other end believes none of it.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from typing import Any

_DEEPEST = 34
"""A little more than our collector goes, so that it is there that depth is refused and told."""
_PIECE = 1 << 18
_KINDS = {stat.S_IFLNK: "link", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


class Room:
    """What may still be sent."""

    def __init__(self, most_bytes: int, most_files: int) -> None:
        """Begin with the limits of the run."""
        self.bytes, self.files = most_bytes, most_files


def tell_folder(folder: int, most_bytes: int, most_files: int) -> Iterator[dict[str, Any]]:
    """Yield the items of `folder`, a descriptor that is closed then. What passes the limits is named and not sent."""
    # Some more than allowed, so that the other end sees that there are too many.
    room = Room(most_bytes, most_files + 2)
    os.fchmod(folder, 0o700)
    return _folder(folder, 0, room)


def _folder(folder: int, depth: int, room: Room) -> Iterator[dict[str, Any]]:
    try:
        for name in sorted(os.listdir(folder)):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if room.files < 0:
                return
            told = base64.b64encode(os.fsencode(name)).decode()
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                room.files -= 1
                yield {"enter": told}
                if depth < _DEEPEST:
                    yield from _folder(_open(folder, name, status, os.O_DIRECTORY), depth + 1, room)
                yield {"leave": 1}
            elif kind == stat.S_IFREG:
                room.files -= 1
                yield {"file": told, "size": status.st_size}
                if status.st_size <= room.bytes:
                    room.bytes -= status.st_size
                    yield from _content(_open(folder, name, status, os.O_NONBLOCK))
            else:
                yield {"odd": told, "kind": _KINDS.get(kind, "")}
    finally:
        os.close(folder)


def _open(folder: int, name: str, status: os.stat_result, flag: int) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | flag
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:  # the program took its own rights away; it is over, and the file is ours
        os.chmod(name, 0o700 | stat.S_IMODE(status.st_mode), dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)


def _content(descriptor: int) -> Iterator[dict[str, Any]]:
    try:
        while True:
            piece = os.read(descriptor, _PIECE)
            if not piece:
                return
            yield {"more": 1, "b": base64.b64encode(piece).decode()}
    finally:
        os.close(descriptor)
