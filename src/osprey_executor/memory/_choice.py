"""Which notes and programs one task is given, where there are more than a prompt takes."""

from __future__ import annotations

from collections.abc import Sequence

from osprey_executor.models import Note, ProvenScript, Remembered

_NOTES = 8000
_CODE = 24_000
"""Characters, in all."""
_SCRIPTS = 3


def recalled(requester: str, notes: Sequence[Note], scripts: Sequence[ProvenScript]) -> Remembered:
    """Return what a task of `requester` is given.

    Args:
        requester: whose own notes come first where not all fit, then the newest.
        notes: the oldest first.
        scripts: the most similar first; of equal ones one is given.
    """
    given = _within(sorted(notes, key=lambda note: (note.owner == requester, note.created_at), reverse=True))
    return Remembered(
        notes=tuple(note for note in notes if note in given),
        scripts=_different(scripts),
        left_out=len(notes) - len(given),
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


def _different(scripts: Sequence[ProvenScript]) -> tuple[ProvenScript, ...]:
    given: dict[str, ProvenScript] = {}
    room = _CODE
    for script in scripts:
        if script.code not in given and len(script.code) <= room and len(given) < _SCRIPTS:
            given[script.code] = script
            room -= len(script.code)
    return tuple(given.values())
