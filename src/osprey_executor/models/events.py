"""What `stream()` yields: frozen, typed, in the order in which it happened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.models.analysis import AnalysisReport
from osprey_executor.models.approval import ApprovalCard
from osprey_executor.models.report import ErrorReport, Stage
from osprey_executor.models.result import RunResult


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)

    run_id: str
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class StageStarted(_Event):
    """The run entered a room of the pipeline."""

    kind: Literal["stage"] = "stage"
    stage: Stage
    attempt: int


class CodeGenerated(_Event):
    """There is code; nothing has run."""

    kind: Literal["code"] = "code"
    code: str
    attempt: int


class Analysed(_Event):
    """The analysis has spoken."""

    kind: Literal["analysed"] = "analysed"
    report: AnalysisReport
    attempt: int


class AttemptFailed(_Event):
    """An attempt ended without a result; what happens next is in the following events."""

    kind: Literal["attempt_failed"] = "attempt_failed"
    error: ErrorReport
    attempt: int


class ApprovalRequested(_Event):
    """The run waits for a person."""

    kind: Literal["approval"] = "approval"
    card: ApprovalCard


class Queued(_Event):
    """The program waits for its turn: the service runs as many at once as it may. Its time limit has not begun."""

    kind: Literal["queued"] = "queued"
    attempt: int


class Output(_Event):
    """A piece of output of the code; hostile text."""

    kind: Literal["output"] = "output"
    stream: Literal["stdout", "stderr"]
    text: str


class Progress(_Event):
    """`runtime.progress` of the code; hostile text. `fraction` is between 0 and 1."""

    kind: Literal["progress"] = "progress"
    fraction: float
    message: str = ""


class Figure(_Event):
    """A figure was closed and can be looked at; a later one of the same number takes its place.

    The figures of the result are counted anew at the end, without those that stayed empty.
    """

    kind: Literal["figure"] = "figure"
    number: int
    """Counted in the order in which the program made its figures, from 1."""
    path: Path
    """A PNG file in the run folder, whole at any moment; a claim of the code, like every figure."""


class Finished(_Event):
    """The last event of a stream: an end, or a wait for a person."""

    kind: Literal["finished"] = "finished"
    result: RunResult


Event = Annotated[
    StageStarted
    | CodeGenerated
    | Analysed
    | AttemptFailed
    | ApprovalRequested
    | Queued
    | Output
    | Progress
    | Figure
    | Finished,
    Field(discriminator="kind"),
]
