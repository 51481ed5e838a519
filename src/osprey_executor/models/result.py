"""What a run gives back."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor import errors
from osprey_executor.models.analysis import AnalysisReport
from osprey_executor.models.approval import ControlSystemReport
from osprey_executor.models.execution import IsolationReport, MachineEffects, Outcome, Refusal, RunStatus, Usage, Write
from osprey_executor.models.generation import Generation
from osprey_executor.models.memory import Used
from osprey_executor.models.people import ADVISORY
from osprey_executor.models.plan import Plan
from osprey_executor.models.report import ErrorReport
from osprey_executor.text import visible

_RAISES: dict[RunStatus, type[errors.PythonExecutorException]] = {
    RunStatus.FAILED: errors.CodeRuntimeError,
    RunStatus.REJECTED: errors.ExecutionRejectedError,
    RunStatus.REFUSED: errors.WriteRefused,
    RunStatus.TIMED_OUT: errors.ExecutionTimeoutError,
    RunStatus.CANCELLED: errors.ExecutionCancelledError,
    RunStatus.AWAITING_APPROVAL: errors.AwaitingApprovalError,
    RunStatus.OUTCOME_UNKNOWN: errors.OutcomeUnknownError,
}


class Attempt(BaseModel):
    """One program on its way through the pipeline."""

    model_config = ConfigDict(frozen=True)

    number: int
    code: str
    status: RunStatus | None = None
    """None: it never ran."""
    error: ErrorReport | None = None
    generation: Generation | None = None
    """What it took to generate it; None: a person wrote it."""
    notebook_path: Path | None = None


class Timings(BaseModel):
    """Seconds spent in each room; waiting for a person, or for a turn at the engine, apart."""

    model_config = ConfigDict(frozen=True)

    generation: float = 0.0
    analysis: float = 0.0
    rehearsal: float = 0.0
    waiting: float = 0.0
    execution: float = 0.0
    collection: float = 0.0
    total: float = 0.0


class RunSummary(BaseModel):
    """A run as a list shows it."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    state: str
    """`running`, or a `RunStatus`."""
    effects: MachineEffects = MachineEffects.NONE
    task: str = ""
    requester: str = ""
    generator: str = ""
    created_at: datetime
    finished_at: datetime | None = None
    folder: Path


class RunResult(BaseModel):
    """The end of a run, or its wait for a person. Values in `results` are claims of the code."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    run_id: str
    status: RunStatus
    effects: MachineEffects = MachineEffects.NONE
    task: str = ""
    requester: str = ""
    approver: str | None = None
    proof: str | None = None
    """How it is known who that was: `system`, `token`, `proxy`; of two approvers in their order."""
    digest: str | None = None
    """Of what was approved, or waits for approval."""
    refusals: tuple[Refusal, ...] = ()
    writes: tuple[Write, ...] = ()
    results: dict[str, Any] = Field(default_factory=dict[str, Any])
    stdout: str = ""
    stderr: str = ""
    figures: tuple[Path, ...] = ()
    artifacts: tuple[Path, ...] = ()
    notebook_path: Path | None = None
    folder: Path
    code: str | None = None
    generator: str = ""
    """Who wrote the code: `mock (scripted)`, `basic (anthropic/...)`, `user`."""
    attempts: tuple[Attempt, ...] = ()
    analysis: AnalysisReport | None = None
    isolation: IsolationReport = IsolationReport()
    control_system: ControlSystemReport | None = None
    """Which machine it talked to; readings of a `mock` are invented."""
    memory: tuple[Used, ...] = ()
    """The notes and the kept programs that the generator was given."""
    error: ErrorReport | None = None
    notes: tuple[str, ...] = ()
    partial: bool = False
    usage: Usage = Usage()
    timings: Timings = Timings()
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def decided_by(self) -> str | None:
        """Who decided, in words, with how that is known where it is known, or matters; None: nobody was asked."""
        if not self.approver or not self.proof:
            return self.approver
        if ADVISORY.isdisjoint(self.proof.split(" and ")):
            return f"{self.approver} (known by {' and '.join(dict.fromkeys(self.proof.split(' and ')))})"
        real = self.control_system is not None and self.control_system.real
        return f"{self.approver} (advisory approval)" if real else self.approver

    @property
    def generation(self) -> Generation:
        """What it took to generate the programs of all attempts."""
        return Generation.total({one.number: one.generation for one in self.attempts if one.generation}.values())

    def raise_for_status(self) -> RunResult:
        """Return this result if the run succeeded, else raise the error of its status.

        Raises:
            PythonExecutorException: of the class that the error tree gives for the status.
        """
        if self.status is RunStatus.SUCCEEDED:
            return self
        kind = _RAISES[self.status]
        named = getattr(errors, self.error.type, None) if self.error else None
        if isinstance(named, type) and issubclass(named, errors.PythonExecutorException):
            kind = named
        why = str(self.error) if self.error else f"see {self.folder}"
        if kind is errors.MissingExtraError:
            kind = errors.ConfigurationError
        raise kind(f"run {self.run_id} {self.status.replace('_', ' ')}: {why}")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        lines = [f"Run {self.run_id}: {self.status.replace('_', ' ')} (machine: {self.effects})"]
        if self.error:
            lines.append(visible(str(self.error)))
        lines += [f"{visible(name)} = {visible(repr(value))[:200]}" for name, value in self.results.items()]
        if self.notebook_path:
            lines.append(f"notebook: {self.notebook_path}")
        text = "\n".join(lines)
        return {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}


class Rehearsal(BaseModel):
    """What rehearsing a program by itself gives: its plan, and the outcome of a run that moved nothing."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    plan: Plan
    outcome: Outcome | None = None
    """Claims of the code, which mean little after a write; None: its time limit ended it."""
    folder: Path
    """Where its output and figures are."""
    control_system: ControlSystemReport
    isolation: IsolationReport
