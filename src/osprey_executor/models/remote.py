"""What a service tells over the network beside what it tells in Python."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.approval import ApprovalCard
from osprey_executor.models.people import Person


class CardNow(ApprovalCard):
    """A card, with what is in the way of its writes at this moment."""

    in_the_way: tuple[str, ...] = ()
    """Why its run would write nothing if it were approved now."""


class WriteSwitch(BaseModel):
    """The state of the switch that stops every write."""

    model_config = ConfigDict(frozen=True)

    stopped: bool
    reason: str | None = None
    """By whom, since when and why."""


class FileEntry(BaseModel):
    """A file that a run left."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    """Bytes."""


class Health(BaseModel):
    """How the service is, as far as the person may know."""

    model_config = ConfigDict(frozen=True)

    version: str
    you: Person
    pending: int
    """How many cards wait that the person may see."""
    running: int
    """How many runs are going on, in all processes that use the state folder."""
    writes: WriteSwitch
