"""What earlier runs and users have taught: notes, proven scripts, and what of them a generator was given."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Note(BaseModel):
    """Something to be known for tasks of one person, in their words: `our BPMs are in mm`."""

    model_config = ConfigDict(frozen=True)

    id: str
    text: str
    owner: str
    """Whose it is: only they change it, and only their tasks are given it, unless they share it."""
    author: str
    """Who wrote it: a person, or the model that proposed it."""
    shared: bool = False
    created_at: AwareDatetime


class ProvenScript(BaseModel):
    """The program of a run that a person has marked as good. An example for a generator, and never a grant."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The run."""
    task: str
    code: str
    owner: str
    shared: bool = False
    kept_at: AwareDatetime


class Used(BaseModel):
    """What of the memory a generator was given, as the record tells it."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["note", "script"]
    id: str
    owner: str
    sha256: str
    """Of the text of the note, or the code of the script."""


class Remembered(BaseModel):
    """What of the memory a generator is given for one task: data of other people's making, never instructions."""

    model_config = ConfigDict(frozen=True)

    notes: tuple[Note, ...] = ()
    """The oldest first."""
    scripts: tuple[ProvenScript, ...] = ()
    """The most similar task first."""
    left_out: int = 0
    """How many notes there are beyond what a prompt takes."""
    scripts_left_out: int = 0
    """How many more programs, no two alike, have something in common with the task."""
    damaged: tuple[str, ...] = ()
    """What could not be read: `note n-3fa94c1e of alice`."""

    @property
    def used(self) -> tuple[Used, ...]:
        """What the record keeps of it."""
        notes = [Used(kind="note", id=one.id, owner=one.owner, sha256=_sha256(one.text)) for one in self.notes]
        scripts = [Used(kind="script", id=one.id, owner=one.owner, sha256=_sha256(one.code)) for one in self.scripts]
        return (*notes, *scripts)


class Imported(BaseModel):
    """What an import has taken over, and what it could not, each with its reason; files stay as they are."""

    model_config = ConfigDict(frozen=True)

    notes: tuple[Note, ...] = ()
    known: int = 0
    """Notes that were there already."""
    problems: tuple[str, ...] = ()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
