"""Names of files that hostile code chose, made fit for a record: readable, unique, inside their folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from osprey_executor.text import visible

_MOST_BYTES = 200
"""Of one part of a path; file systems take 255."""


class Names:
    """Gives each relative path one of its own under which the record keeps it."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._numbers: defaultdict[str, int] = defaultdict(lambda: 1)

    def keep(self, path: PurePosixPath) -> PurePosixPath:
        """Return `path` with every part readable; what would deceive or hide is written as an escape."""
        parts = [_readable(part) for part in path.parts if part not in ("", "/", ".", "..")] or ["unnamed"]
        made = ""
        for part in parts[:-1]:
            made = self._free(made, part, self._files)
            self._folders.add(made)
            made += "/"
        made = self._free(made, parts[-1], self._files, self._folders)
        self._files.add(made)
        return PurePosixPath(made)

    def _free(self, above: str, part: str, *taken: set[str]) -> str:
        """Return `part` below `above`, numbered where another path has that name."""
        made = above + part
        stem, suffix = PurePosixPath(part).stem, PurePosixPath(part).suffix
        while any(made in names for names in taken):
            self._numbers[above + part] += 1
            made = f"{above}{stem}~{self._numbers[above + part]}{suffix}"
        return made


def below(path: Path, root: Path | None) -> PurePosixPath:
    """Return `path` relative to `root/artifacts`, where engines leave artifacts, or to `root`; else its name alone."""
    for folder in (root / "artifacts", root) if root is not None else ():
        if path.is_relative_to(folder):
            return PurePosixPath(path.relative_to(folder))
    return PurePosixPath(path.name)


def _readable(part: str) -> str:
    text = visible(part).replace("\n", "\\n").replace("\t", "\\t")
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text.encode()) <= _MOST_BYTES:
        return text
    ending = PurePosixPath(text).suffix[:20]
    short = text.encode()[: _MOST_BYTES - len(ending.encode()) - 3].decode("utf-8", "ignore")
    return f"{short}…{ending}"
