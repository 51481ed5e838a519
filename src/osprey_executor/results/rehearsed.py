"""What a rehearsal leaves, marked as such, so that nobody takes its pictures or its output for what the machine did."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from osprey_executor.errors import StorageError
from osprey_executor.models import Outcome
from osprey_executor.results import _files
from osprey_executor.results.watermark import MARK, is_png, watermarked
from osprey_executor.results.watermark_svg import watermarked_svg
from osprey_executor.text import one_line

MOST_MARKED = 50
MOST_GROWN = 2**21
"""Bytes by which all pictures together may grow, whatever the code made them of: it has its room without the bands."""
_LARGEST = 2**26
_MOST_TOLD = 5
_SAID = MARK.lower()
_LINE = f"[{_SAID}]\n"
_PICTURES = frozenset(
    (".apng", ".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".ps", ".svg", ".svgz", ".tif", ".tiff", ".webp")
)


def _never() -> bool:
    return False


def marked_rehearsal(outcome: Outcome, ended: Callable[[], bool] = _never) -> Outcome:
    """Return the outcome with a band over each PNG and SVG that the program made, and a line before its output.

    A picture that cannot be marked is left out, and so are those after the first fifty; other files stay as they are,
    and the notes name those that look like pictures. Blocks: call it in a thread.

    Args:
        outcome: of the rehearsal.
        ended: asked before each file; once it returns True, no more is marked, and what is not marked is left out.
    """
    marks = _Marks(ended)
    figures = marks.over(outcome.figures, pictures=True)
    artifacts = marks.over(outcome.artifacts, pictures=False)
    return outcome.model_copy(
        update={
            "figures": figures,
            "artifacts": artifacts,
            "stdout": _LINE + outcome.stdout if outcome.stdout else "",
            "stderr": _LINE + outcome.stderr if outcome.stderr else "",
            "notes": (
                *outcome.notes,
                f"{_SAID}; its output, and its PNG and SVG pictures, are marked so",
                *marks.notes,
            ),
        }
    )


class _Marks:
    """The marks of one rehearsal: how many there may be, and what has none."""

    def __init__(self, ended: Callable[[], bool]) -> None:
        self._ended = ended
        self._left, self._room = MOST_MARKED, MOST_GROWN
        self._out: list[str] = []
        self._unmarked: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and which pictures are not marked."""
        notes = self._out[:_MOST_TOLD]
        if more := len(self._out) - len(notes):
            notes.append(f"{more} more file{'s are' if more > 1 else ' is'} left out, not being marked")
        if self._unmarked:
            more = len(self._unmarked) - _MOST_TOLD
            named = ", ".join(self._unmarked[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
            notes.append(f"not marked, as they are no PNG or SVG pictures: {named}")
        return tuple(notes)

    def over(self, paths: tuple[Path, ...], *, pictures: bool) -> tuple[Path, ...]:
        """Return those that are marked, or need no mark."""
        kept: list[Path] = []
        for path in paths:
            try:
                if self._ended():
                    raise ValueError("the rehearsal was ended")
                if pictures or _is_png(path):
                    self._mark(path, watermarked)
                elif path.suffix.lower() == ".svg":
                    self._mark(path, watermarked_svg)
                elif path.suffix.lower() in _PICTURES:
                    self._unmarked.append(one_line(path.name, 100))
            except (OSError, StorageError, ValueError) as error:
                why = one_line(str(error), 200)
                self._out.append(f"{one_line(path.name, 100)} is left out, as it cannot be marked: {why}")
            else:
                kept.append(path)
        return tuple(kept)

    def _mark(self, path: Path, mark: Callable[[bytes], bytes]) -> None:
        if not self._left:
            raise ValueError(f"it comes after {MOST_MARKED} pictures, and no more are marked")
        self._left -= 1
        before = _files.read(path, most_bytes=_LARGEST)
        after = mark(before)
        if len(after) - len(before) > self._room:
            raise ValueError(f"the marks of all pictures would take more than {MOST_GROWN // 2**20} MiB")
        _files.write(path, after)
        self._room -= max(0, len(after) - len(before))


def _is_png(path: Path) -> bool:
    with os.fdopen(_files.open_regular(path), "rb") as file:
        return is_png(file.read(8))
