"""What of the past is kept, and what goes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Pruning(BaseModel):
    """The runs that go, or that went."""

    model_config = ConfigDict(frozen=True)

    before: datetime
    """They had ended by then."""
    written: bool
    """Whether those that wrote to the machine are among them."""
    run_ids: tuple[str, ...] = ()
    bytes: int = 0
    """Of their folders."""


class Backup(BaseModel):
    """A copy of a state folder."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    runs: int
    bytes: int
