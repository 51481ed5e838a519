"""What those outside are told of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.execution import MachineEffects

AnnouncementKind = Literal["pending", "expired", "writing", "ended"]


class Announcement(BaseModel):
    """Something that has happened to a run, and that is told once."""

    model_config = ConfigDict(frozen=True)

    kind: AnnouncementKind
    what: str
    """Which of them: no other of this run has the same."""
    run_id: str
    at: datetime
    """When it happened."""
    state: str
    effects: MachineEffects
    task: str
    requester: str
    headline: str = ""
    """Of its card."""
    approver: str = ""
    expires_at: datetime | None = None
