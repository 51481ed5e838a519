"""Artifacts: what the code left in its working folder, copied out after every process of the run is gone.

Everything there is hostile: names, kinds and sizes. Nothing is opened but regular files, by descriptor, without
following a link, and nothing is written but below the destination.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from osprey_executor.models import show_size
from osprey_executor.text import one_line, visible

_DEEPEST = 32
_PIECE = 1 << 20
_PAGE = 1 << 16
"""File systems round up to a page, of this size at most."""
_LONGEST_NAME, _CUT_NAME = 255, 240
_MOST_NOTES = 20
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass
class Collected:
    """What was copied, and what was not."""

    paths: list[Path] = field(default_factory=list[Path])
    notes: list[str] = field(default_factory=list[str])
    partial: bool = False
    """A limit was reached, so something may be missing."""


@dataclass
class _Room:
    """What may still be copied."""

    bytes: int
    files: int


def collect(folder: int, destination: Path, *, most_bytes: int, most_files: int) -> Collected:
    """Copy the regular files below the descriptor `folder` to `destination`, in the order of their names.

    Args:
        folder: a directory; stays the caller's.
        destination: made if there is anything to copy.
        most_bytes: of all files together, by apparent size, so that a sparse file cannot fill the disk.
        most_files: files and folders together.

    What cannot be read or written, as on a full disk, is left out with a note: the run itself is over, and how it
    ended must not be lost with a file.
    """
    found = Collected()
    with contextlib.suppress(OSError):  # the code may have taken its own rights away
        os.fchmod(folder, 0o755)
    _collect(folder, destination, "", 0, _Room(most_bytes, most_files), found)
    if len(found.notes) > _MOST_NOTES:
        more = len(found.notes) - _MOST_NOTES
        found.notes[_MOST_NOTES:] = [f"{more} more artifacts were left out or renamed"]
    _note_full(folder, most_bytes, most_files, found)
    return found


def why_not(error: OSError) -> str:
    """Return why a file of the run could not be kept."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of the service is full ({error.strerror})"
    return error.strerror or str(error)


def is_untouched(folder: int) -> bool:
    """Return whether nothing is there but the service's own; quick, as the folder is in memory."""
    return os.listdir(folder) == ["inputs"]


def _note_full(folder: int, most_bytes: int, most_files: int, found: Collected) -> None:
    """Tell which limit the folder has reached. Where it is no file system of its own, its size shows that."""
    room = os.fstatvfs(folder)
    own = most_bytes <= room.f_blocks * room.f_frsize <= most_bytes + _PAGE
    if own and room.f_bfree == 0:
        found.notes.append(f"the working folder is full: folder limit {show_size(most_bytes)} reached (limits.folder)")
        found.partial = True
    if own and room.f_ffree == 0:
        found.notes.append(f"the working folder is full: file limit {most_files} reached (limits.files)")
        found.partial = True


def _collect(folder: int, destination: Path, shown: str, depth: int, room: _Room, found: Collected) -> None:
    if depth > _DEEPEST:
        found.notes.append(f"artifact left out: {shown} is nested too deeply")
        return
    taken: set[str] = set()
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        found.notes.append(f"artifacts left out: {one_line(shown) or 'the working folder'}: {why_not(error)}")
        return
    for name, mode in _entries(folder, names):
        path = f"{shown}/{name}" if shown else name
        kind = stat.S_IFMT(mode)
        if kind == stat.S_IFLNK and path == "inputs":  # the service's own
            continue
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            found.notes.append(f"artifact left out: {one_line(path)} is {_KINDS.get(kind, 'no regular file')}")
            continue
        if room.files <= 0:
            found.notes.append(f"artifact left out: {one_line(path)} and what follows: too many files (limits.files)")
            found.partial = True
            return
        room.files -= 1
        safe = _safe_name(name, taken)
        if safe != name:
            found.notes.append(f"artifact renamed: {one_line(path)} is kept as {safe}")
        _take(folder, name, kind, destination / safe, path, depth, room, found)


def _take(
    folder: int, name: str, kind: int, target: Path, path: str, depth: int, room: _Room, found: Collected
) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        source = os.open(name, flags | (os.O_DIRECTORY if kind == stat.S_IFDIR else 0), dir_fd=folder)
    except OSError as error:
        found.notes.append(f"artifact left out: {one_line(path)}: {why_not(error)}")
        return
    try:
        status = os.fstat(source)
        if kind == stat.S_IFDIR:
            _collect(source, target, path, depth + 1, room, found)
        elif not stat.S_ISREG(status.st_mode):
            found.notes.append(f"artifact left out: {one_line(path)} changed while it was read")
        elif status.st_size > room.bytes:
            what = f"{status.st_size} bytes pass the limit of the folder (limits.folder)"
            found.notes.append(f"artifact left out: {one_line(path)}: {what}")
            found.partial = True
        else:
            room.bytes -= status.st_size
            try:
                _copy(source, target, status.st_size)
                found.paths.append(target)
            except OSError as error:
                found.notes.append(f"artifact left out: {one_line(path)}: {why_not(error)}")
    finally:
        os.close(source)


def _entries(folder: int, names: list[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        with contextlib.suppress(OSError):
            yield name, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode


def _copy(source: int, target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # of an earlier run into the same folder
    into = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with contextlib.ExitStack() as torn:
        torn.callback(target.unlink, missing_ok=True)
        with contextlib.closing(os.fdopen(into, "wb", buffering=0)) as stream:
            left = size
            while left > 0 and (piece := os.read(source, min(_PIECE, left))):
                left -= len(piece)
                view = memoryview(piece)
                while view:
                    view = view[stream.write(view) or 0 :]
        torn.pop_all()


def _safe_name(name: str, taken: set[str]) -> str:
    """Return a name without hidden characters that no other file of this folder has."""
    safe = visible(name).replace("\n", "\\n").replace("\t", "\\t")
    if len(safe.encode("utf-8")) > _LONGEST_NAME:
        safe = safe.encode("utf-8")[:_CUT_NAME].decode("utf-8", "ignore")
    unique, number = safe, 1
    while unique in taken:
        number += 1
        unique = f"{safe}~{number}"
    taken.add(unique)
    return unique
