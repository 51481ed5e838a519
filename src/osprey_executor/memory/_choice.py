"""Which notes and programs one task is given, where there are more than a prompt takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from osprey_executor.models import Note, ProvenScript, Remembered

_NOTES = 8000
_CODE = 24_000
"""Characters, in all."""
_SCRIPTS = 3


def recalled(requester: str, notes: Sequence[Note], scripts: Iterable[ProvenScript]) -> Remembered:
    """Return what a task of `requester` is given.

    Args:
        requester: whose own notes come first where not all fit, then the newest.
        notes: the oldest first.
        scripts: the most similar first; of equal ones one is given. As many as there are: they are not held.
    """
    given = _within(sorted(notes, key=lambda note: (note.owner == requester, note.created_at), reverse=True))
    examples, more = _different(scripts)
    return Remembered(
        notes=tuple(note for note in notes if note in given),
        scripts=examples,
        left_out=len(notes) - len(given),
        scripts_left_out=more,
    )


def _within(notes: Sequence[Note]) -> list[Note]:
    given: list[Note] = []
    room = _NOTES
    for note in notes:
        room -= len(note.text)
        if room < 0:
            break
        given.append(note)
    return given


def _different(scripts: Iterable[ProvenScript]) -> tuple[tuple[ProvenScript, ...], int]:
    given: list[ProvenScript] = []
    seen: set[bytes] = set()
    room = _CODE
    for script in scripts:
        digest = hashlib.sha256(script.code.encode()).digest()
        if digest not in seen and len(script.code) <= room and len(given) < _SCRIPTS:
            given.append(script)
            room -= len(script.code)
        seen.add(digest)
    return tuple(given), len(seen) - len(given)
