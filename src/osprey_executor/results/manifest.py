"""The manifest of a run: what happened, who allowed it, and the SHA-256 of every file of its record."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from osprey_executor.models import (
    AnalysisReport,
    ControlSystemReport,
    ErrorReport,
    Generation,
    IsolationReport,
    MachineEffects,
    Refusal,
    RunStatus,
    Timings,
    Usage,
    Used,
    Write,
)

VERSION = 1


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\x00" in value:
        raise ValueError("not a path inside the run folder")
    return value


Inside = Annotated[str, AfterValidator(_inside)]
"""Path relative to the run folder, never out of it."""

Sha256 = Annotated[str, Field(pattern=re.compile(r"^[0-9a-f]{64}$"))]


class FileEntry(BaseModel):
    """One file of the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Inside
    size: Annotated[int, Field(ge=0)]
    """In bytes."""
    sha256: Sha256


class AttemptEntry(BaseModel):
    """One attempt. Its code lies in `attempts/<number>/code.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)]
    status: RunStatus | None = None
    """None: it never ran."""
    error: ErrorReport | None = None
    """Without the code, which has its own file."""
    generation: Generation | None = None
    notebook: Inside | None = None


class Manifest(BaseModel):
    """`manifest.json`, the last file that is written: with it, the record of a run is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    run_id: str
    task: str = ""
    requester: str = ""
    generator: str = ""
    status: RunStatus
    effects: MachineEffects = MachineEffects.NONE
    approver: str | None = None
    proof: str | None = None
    digest: str | None = None
    isolation: IsolationReport = IsolationReport()
    control_system: ControlSystemReport | None = None
    analysis: AnalysisReport | None = None
    refusals: tuple[Refusal, ...] = ()
    writes: tuple[Write, ...] = ()
    error: ErrorReport | None = None
    """Without the code, which has its own file."""
    memory: tuple[Used, ...] = ()
    """The notes and the kept programs that the generator was given."""
    notes: tuple[str, ...] = ()
    partial: bool = False
    usage: Usage = Usage()
    timings: Timings = Timings()
    created_at: datetime
    finished_at: datetime | None = None
    attempts: tuple[AttemptEntry, ...] = ()
    final_attempt: int | None = None
    """The attempt whose outcome is the result; None: nothing ran."""
    figures: tuple[Inside, ...] = ()
    """In the order in which they were made."""
    artifacts: tuple[Inside, ...] = ()
    notebook: Inside | None = None
    files: tuple[FileEntry, ...] = ()
