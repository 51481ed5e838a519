"""What goes into an engine and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.models.limits import Limits
from osprey_executor.models.report import ErrorReport


class RunStatus(StrEnum):
    """How a run ended, or that it waits for a person."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    AWAITING_APPROVAL = "awaiting_approval"
    OUTCOME_UNKNOWN = "outcome_unknown"


RUNNING = "running"
"""The state of a run that goes on; every other one is a `RunStatus`."""


class MachineEffects(StrEnum):
    """What a run did to the machine, apart from how it ended."""

    NONE = "none"
    WRITTEN = "written"
    UNKNOWN = "unknown"


class Settled(StrEnum):
    """What a later look at the channel says of a write that was never confirmed."""

    WRITTEN = "written"
    """It has the value that was written, and had another one before."""
    NOT_WRITTEN = "not_written"
    """It has the value that it had before, and another one was written."""
    UNKNOWN = "unknown"
    """Anything else: nobody can say."""


class IsolationReport(BaseModel):
    """What contained the code. It stands on every card and result."""

    model_config = ConfigDict(frozen=True)

    level: str = "none"
    """`full`, `restricted` or `none`."""
    engine: str = "local"
    proven: bool = False
    """Whether this engine instance showed by canaries from inside that the code is contained."""
    mechanisms: tuple[str, ...] = ()
    """What enforces it, in words: `user namespace`, `seccomp`, ..."""
    enforced: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """What keeps each limit, by its name in `Limits`: `memory` by `cgroup v1` and `watchdog`."""
    network: tuple[str, ...] = ()
    """Endpoints that the configuration opened to the code, `host:port`; with any, nothing is proven."""

    def __str__(self) -> str:
        proof = "proven" if self.proven else "containment not proven"
        opened = f", network open to {', '.join(self.network)}" if self.network else ""
        return f"{self.level} ({self.engine}, {proof}{opened})"


class Program(BaseModel):
    """Code and all that it finds in its world."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    code: str | bytes
    """The source, executed byte for byte."""
    inputs: Mapping[str, Path | bytes] = Field(default_factory=dict[str, Path | bytes])
    """Files at `inputs/NAME`, read-only."""
    context: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """`capability_context_data`, at `context` and `runtime.context`."""
    limits: Limits | None = None
    """None: the limits of the engine's configuration."""
    folder: Path | None = None
    """Where output, figures and artifacts are left; None: a temporary folder of the engine's life."""


class Usage(BaseModel):
    """What a run took."""

    model_config = ConfigDict(frozen=True)

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_memory: int = 0
    """Largest resident memory of one process, in bytes."""


class Refusal(BaseModel):
    """A write that was not sent."""

    model_config = ConfigDict(frozen=True)

    channel: str
    value: str
    reason: str
    line: int | None = None
    """Line of the program as the code reports it."""
    rule: str = ""
    """The limit that it would have broken, by its name in the limits database; empty: refused for something else."""
    skipped: bool = False
    """Whether the rest of its call went on, as `on_violation: skip` has it."""


class Write(BaseModel):
    """A write that was sent."""

    model_config = ConfigDict(frozen=True)

    channel: str
    previous: str | None = None
    value: str
    confirmed: bool
    """False: sent, but no confirmation came back; the outcome is unknown."""
    line: int | None = None
    settled: Settled | None = None
    """What a person saw who settled a write without a confirmation; None: confirmed, or not settled yet."""


class Outcome(BaseModel):
    """How one execution ended. Everything but `status`, `usage` and `isolation` is a claim of the code."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    status: RunStatus
    """`succeeded`, `failed`, `refused`, `timed_out`, `cancelled` or `outcome_unknown`."""
    results: dict[str, Any] = Field(default_factory=dict[str, Any])
    has_results: bool = False
    """Whether the program left `results` at all."""
    stdout: str = ""
    stderr: str = ""
    figures: tuple[Path, ...] = ()
    """PNG files in the order in which the figures were made."""
    artifacts: tuple[Path, ...] = ()
    """Files that the program left in its working folder."""
    error: ErrorReport | None = None
    notes: tuple[str, ...] = ()
    """What a person should know: output cut, an artifact left out."""
    partial: bool = False
    """Output, results or artifacts may be incomplete, because the run was ended."""
    usage: Usage = Usage()
    isolation: IsolationReport = IsolationReport()
