"""Long lists, page by page: what is wanted of them, and what a page holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.models.analysis import Verdict
from osprey_executor.models.approval import Digest
from osprey_executor.models.execution import MachineEffects
from osprey_executor.models.result import RunSummary

MOST_ON_A_PAGE = 200


class RunFilter(BaseModel):
    """Which runs; what is not said does not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, Field(max_length=200)] = ""
    """In the task, where capital ASCII letters are as others, or the beginning of the id."""
    state: Annotated[str, Field(max_length=40)] | None = None
    """`running`, or a `RunStatus`."""
    effects: MachineEffects | None = None
    requester: Annotated[str, Field(max_length=200)] | None = None
    since: datetime | None = None
    """Begun then or later; without an offset: UTC."""
    until: datetime | None = None
    """Begun before that."""


class RunPage(BaseModel):
    """Some runs of a list, the newest first."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[RunSummary, ...] = ()
    next: str | None = None
    """The cursor of the page that follows; None: this is the last one."""


class Waiting(BaseModel):
    """A card as a list shows it. All text in it is hostile."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    digest: Digest
    headline: str
    requester: str
    task: str
    verdict: Verdict
    machine: str
    """The type of its control system."""
    real: bool
    """Whether its writes reach hardware."""
    writes: int
    """How many its rehearsal would have sent; 0 also where nothing ran yet."""
    created_at: datetime
    expires_at: datetime


class WaitingPage(BaseModel):
    """Some cards that wait for a decision, the runs that were begun first before others."""

    model_config = ConfigDict(frozen=True)

    approvals: tuple[Waiting, ...] = ()
    total: int = 0
    """How many wait, on all pages."""
    next: str | None = None
    """The cursor of the page that follows; None: this is the last one."""
