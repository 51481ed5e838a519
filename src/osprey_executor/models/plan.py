"""What a rehearsal found out: the writes that a program would make, in order, without the machine having moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from osprey_executor.models.execution import Refusal, RunStatus

PlainValue = float | int | str | tuple[float, ...]
"""A number, a text, the number of an enum state, or the elements of an array, as they would be sent."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlannedWrite(_Frozen):
    """One write as it would be sent."""

    index: int
    """Counted from 1, in order."""
    channel: str
    now: float | str | None = None
    """What the channel holds before this write: a number, or words; None where it has no valid value."""
    value: PlainValue
    shown: str
    """The value for people: of an enum its label."""
    command: bool = False
    """Whether it is a command (an RPC); its value is its text, `call` and the arguments as JSON."""
    delta: float | None = None
    """Change against `now`, where both are numbers."""
    tolerance: float = 0.0
    """By how much the value that is written in the end may differ, where it is a number."""
    limits: str = ""
    """What the limits database says of the channel, in words; empty where there is none."""
    verdict: str = "within limits"
    line: int | None = None
    """Line of the program, as the code reports it; None: unknown."""


class ChannelStart(_Frozen):
    """A channel as it was when the rehearsal first looked at it: what the approval takes for granted."""

    value: PlainValue | None = None
    """None: it has no valid value."""
    shown: str = ""
    units: str = ""
    tolerance: float = 0.0
    """By how much it may differ when the run comes to write it."""
    low: float | None = None
    """Least value that limits database and control system both allow; None: neither bounds it."""
    high: float | None = None
    max_step: float | None = None
    """Of the limits database."""
    labels: tuple[str, ...] = ()


class AttemptedWrite(_Frozen):
    """A write that a program tried, whatever became of it."""

    channel: str
    value: PlainValue
    """As the program gave it; what is no number, text or row of numbers, in words."""
    line: int | None = None


class Plan(_Frozen):
    """All that a rehearsal would have written."""

    writes: tuple[PlannedWrite, ...] = ()
    refused: tuple[Refusal, ...] = ()
    """Writes that would be refused, whoever approves."""
    attempted: tuple[AttemptedWrite, ...] = ()
    """Both, in the order in which they were tried."""
    start: Mapping[str, ChannelStart] = Field(default_factory=dict[str, ChannelStart])
    """Of every channel in `writes` and `declared` that could be read."""
    declared: Mapping[str, tuple[float, float]] = Field(default_factory=dict[str, tuple[float, float]])
    """What the program itself says that it will write: lowest and highest value."""
    simulated: bool = False
    """Whether a simulator answered the reads; else what is written shows in the written channels only."""
    feedback_dependent: bool = False
    """Whether it read, after its first write, what the rehearsal could not move: from there on it may do otherwise."""
    feedback_dependent_from: int | None = None
    """The line of that read; None: it depends on none, or the line is unknown."""
    ended: RunStatus = RunStatus.SUCCEEDED
    """How the rehearsal ended."""
    error: str = ""
    """Why it did not come to its end."""
    seconds: float = 0.0
    at: datetime | None = None
    too_many: bool = False
    """More writes than a plan can hold: it ends before them."""

    @property
    def conclusive(self) -> bool:
        """Whether the program came to its end, and nothing it did depends on what only the machine can answer."""
        return self.ended is RunStatus.SUCCEEDED and not self.feedback_dependent and not self.too_many


class ChannelNow(_Frozen):
    """A channel of a plan as it is while somebody looks at the card."""

    channel: str
    shown: str = ""
    """Its value; empty: it has no valid one."""
    drifted: bool = False
    """Whether it is another than the card shows, so that a run which is approved now would not write it."""
    problem: str = ""
    """Why it cannot be read."""


class EnvelopeChannel(_Frozen):
    """What may be written to one channel."""

    channel: str
    low: float
    high: float
    max_step: float | None = None
    """Largest change by one write; None: as far as the range goes."""
    writes: int
    """How many."""


class Envelope(_Frozen):
    """Any order, any value in these ranges: what a closed loop needs."""

    digest: str
    """Of this envelope and of the card that it stands on; approving it is another decision than approving the plan."""
    channels: tuple[EnvelopeChannel, ...]
    seconds: float
    """From the start of the run; after them nothing more is written."""
