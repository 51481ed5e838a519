"""What a rehearsal leaves, marked as such, so that nobody takes its pictures or its output for what the machine did."""

from __future__ import annotations

import os
from pathlib import Path

from osprey_executor.errors import StorageError
from osprey_executor.models import Outcome
from osprey_executor.results import _files
from osprey_executor.results.watermark import MARK, is_png, watermarked
from osprey_executor.text import one_line

_LARGEST = 2**26
_SAID = MARK.lower()
_LINE = f"[{_SAID}]\n"


def marked_rehearsal(outcome: Outcome) -> Outcome:
    """Return the outcome with a band over each PNG that the program drew or saved, and a line before its output.

    A PNG that cannot be marked is left out, and told; other files say nothing and stay. Blocks: call it in a thread.
    """
    notes = [*outcome.notes, f"{_SAID}; figures and output are marked so"]
    return outcome.model_copy(
        update={
            "figures": _marked(outcome.figures, notes, pictures=True),
            "artifacts": _marked(outcome.artifacts, notes, pictures=False),
            "stdout": _LINE + outcome.stdout if outcome.stdout else "",
            "stderr": _LINE + outcome.stderr if outcome.stderr else "",
            "notes": tuple(notes),
        }
    )


def _marked(paths: tuple[Path, ...], notes: list[str], *, pictures: bool) -> tuple[Path, ...]:
    kept: list[Path] = []
    for path in paths:
        try:
            if pictures or _is_png(path):
                _files.write(path, watermarked(_files.read(path, most_bytes=_LARGEST)))
        except (OSError, StorageError, ValueError) as error:
            notes.append(f"{one_line(path.name, 100)} is left out, as it cannot be marked: {one_line(str(error), 200)}")
        else:
            kept.append(path)
    return tuple(kept)


def _is_png(path: Path) -> bool:
    with os.fdopen(_files.open_regular(path), "rb") as file:
        return is_png(file.read(8))
