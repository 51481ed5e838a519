"""Names of files that hostile code chose, made fit for a record: readable, unique, inside their folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from osprey_executor.text import visible

_MOST_BYTES = 200
"""Of one part of a path; file systems take 255."""


class Names:
    """Gives each relative path one of its own under which the record keeps it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._folders: set[str] = set()

    def keep(self, path: PurePosixPath) -> PurePosixPath:
        """Return `path` with every part readable; what would deceive or hide is written as an escape."""
        parts = [_readable(part) for part in path.parts if part not in ("", "/", ".", "..")] or ["unnamed"]
        made = PurePosixPath(*parts)
        number = 1
        while self._clashes(made):
            number += 1
            made = PurePosixPath(
                *parts[:-1], f"{PurePosixPath(parts[-1]).stem}~{number}{PurePosixPath(parts[-1]).suffix}"
            )
        self._taken.add(str(made))
        self._folders.update(str(folder) for folder in made.parents)
        return made

    def _clashes(self, made: PurePosixPath) -> bool:
        # A file must not stand where another path has a folder, nor the other way round.
        return (
            str(made) in self._taken
            or str(made) in self._folders
            or any(str(folder) in self._taken for folder in made.parents)
        )


def below(path: Path, root: Path | None) -> PurePosixPath:
    """Return `path` relative to `root`; only its name where it is not below."""
    if root is not None and path.is_relative_to(root):
        return PurePosixPath(path.relative_to(root))
    return PurePosixPath(path.name)


def _readable(part: str) -> str:
    text = visible(part).replace("\n", "\\n").replace("\t", "\\t")
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text.encode()) <= _MOST_BYTES:
        return text
    ending = PurePosixPath(text).suffix[:20]
    short = text.encode()[: _MOST_BYTES - len(ending.encode()) - 3].decode("utf-8", "ignore")
    return f"{short}…{ending}"
