"""Who may write to the machine at this moment."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.execution import Write
from osprey_executor.models.result import RunSummary


class Writing(BaseModel):
    """A run that holds channels of a machine for itself, and what it has written so far."""

    model_config = ConfigDict(frozen=True)

    run: RunSummary
    machine: str
    channels: tuple[str, ...]
    """Canonical names; `*` alone is the whole machine."""
    since: datetime
    approver: str = ""
    """Empty: nobody was asked."""
    writes: tuple[Write, ...] = ()
    """In order, the last ones."""
    count: int = 0
    """How many writes there were."""
