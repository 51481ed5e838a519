"""Writes without a confirmation: where they stand, and how a person settled them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.execution import MachineEffects, Settled
from osprey_executor.models.machine import common_channel


class Unsettled(BaseModel):
    """A channel that is in quarantine: no run writes it until a person has settled what became of this write."""

    model_config = ConfigDict(frozen=True)

    number: int
    run_id: str
    machine: str
    channel: str
    """Canonical; `*` where neither its journal nor its card tells what a run may have written."""
    previous: str | None = None
    """The value before the write, as text."""
    value: str | None = None
    """The value that was to be written, as text; None: it cannot be known."""
    since: datetime
    present: str | None = None
    """The value now, as text; None: nobody has looked, or it cannot be read."""
    unreadable: str = ""
    """Why there is no present value."""
    outcome: Settled = Settled.UNKNOWN
    """What the present value says."""

    def covers(self, channel: str) -> bool:
        """Return whether writes to `channel`, a canonical name, must wait."""
        return common_channel((channel,), (self.channel,)) is not None

    @property
    def reason(self) -> str:
        """Why a write is refused."""
        what = (
            f"write of {self.value} to {self.channel}" if self.value is not None else "journal is damaged: its writes"
        )
        return (
            f"nobody can say whether the {what} by run {self.run_id} arrived; look at the machine, then "
            f"`osprey-executor settle {self.run_id}`"
        )


class Settlement(BaseModel):
    """What `osprey-executor settle` shows, and what it leaves in the record."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    writes: tuple[Unsettled, ...] = ()
    """Empty: nothing is to be settled."""
    by: str | None = None
    """Who settled it; None: it was only looked at."""
    at: datetime | None = None
    effects: MachineEffects = MachineEffects.UNKNOWN
    """What the run did to the machine, as far as that is known now."""
