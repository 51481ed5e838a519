"""What would be brought back of a run, and what would not."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.plan import PlainValue


class RestoredChannel(BaseModel):
    """A channel that would get back the value that it had before the run."""

    model_config = ConfigDict(frozen=True)

    channel: str
    present: PlainValue
    """What it holds now, which is what the run left there."""
    before: PlainValue
    """What it held before the run, and would hold again."""
    max_step: float | None = None
    """Largest change by one write; None: it goes back at once."""


class LeftChannel(BaseModel):
    """A channel that the run has written and that is left as it is."""

    model_config = ConfigDict(frozen=True)

    channel: str
    reason: str


class Restoring(BaseModel):
    """What a restore of a run would do."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    channels: tuple[RestoredChannel, ...] = ()
    """In the order in which they would be written: the last one that the run came to first."""
    left: tuple[LeftChannel, ...] = ()
