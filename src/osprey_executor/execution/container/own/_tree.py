"""A file system written as a tar archive: each place once, and the folders above it before."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path


class Tree:
    """Everything in it belongs to root and can be read by all. Places are absolute."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        """Write into `archive`."""
        self._archive, self._there = archive, {"/"}

    def folder(self, place: str, mode: int = 0o755) -> None:
        """Add a folder."""
        if member := self._new(place, tarfile.DIRTYPE, mode):
            self._archive.addfile(member)

    def link(self, place: str, target: str) -> None:
        """Add a symbolic link."""
        if member := self._new(place, tarfile.SYMTYPE, 0o777):
            member.linkname = target
            self._archive.addfile(member)

    def text(self, place: str, text: str) -> None:
        """Add a file that holds `text`."""
        if member := self._new(place, tarfile.REGTYPE, 0o644):
            content = text.encode()
            member.size = len(content)
            self._archive.addfile(member, io.BytesIO(content))

    def file(self, source: Path, place: str) -> None:
        """Add a copy of a file, of the same age: Python's compiled files are for sources of exactly that age."""
        if member := self._new(place, tarfile.REGTYPE, 0o644):
            with source.open("rb") as stream:
                status = os.fstat(stream.fileno())
                member.size, member.mtime = status.st_size, status.st_mtime
                member.mode |= 0o111 if status.st_mode & 0o111 else 0
                self._archive.addfile(member, stream)

    def same_place(self, path: Path) -> None:
        """Add a copy of a file where it is here, and a link to it if it is found by one."""
        real = path.resolve()
        self.file(real, str(real))
        here = path.parent.resolve() / path.name
        if here != real:
            self.link(str(here), str(real))

    def _new(self, place: str, kind: bytes, mode: int) -> tarfile.TarInfo | None:
        if place in self._there:
            return None
        self.folder(os.path.dirname(place))  # noqa: PTH120
        self._there.add(place)
        member = tarfile.TarInfo(place.lstrip("/"))
        member.type, member.mode = kind, mode
        return member
