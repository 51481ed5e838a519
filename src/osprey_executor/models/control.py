"""Channels of a control system: what is read, and the port through which code reaches them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, NoReturn, Protocol

from pydantic import BaseModel, ConfigDict

from osprey_executor.models.execution import MachineEffects, Refusal, Write


class AlarmSeverity(IntEnum):
    """As EPICS numbers them."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class Reading(BaseModel):
    """One value of one channel."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    channel: str
    value: Any
    """A number, a string, a one-dimensional numpy array, or a table: a dict of such columns."""
    units: str = ""
    severity: AlarmSeverity = AlarmSeverity.NO_ALARM
    status: str = ""
    """Why there is an alarm, in the control system's own word (`HIHI`, `LINK`); empty without one."""
    timestamp: datetime | None = None


@dataclass(frozen=True)
class History:
    """Archived values of one channel, oldest first."""

    channel: str
    times: Any
    """numpy array of `datetime64[ns]`, UTC."""
    values: Any
    """numpy array as long as `times`, or a list of texts or arrays."""
    severities: Any
    """numpy array of uint8, as `AlarmSeverity` numbers them."""
    units: str = ""


class ControlSession(Protocol):
    """The broker's side of one run: the only route from code to channels. Made outside the sandbox, one a run."""

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        """Return one reading a channel; `line` is that of the program, as it reports it.

        Raises:
            ControlSystemError: a channel is unknown, disconnected or invalid; the message names it.
        """
        ...

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Write each channel in order, journalled, confirmed; return those that were left out.

        A limits database with `on_violation: skip` leaves out what is outside its limits; else nothing is left out.

        Raises:
            WriteRefused: a channel or value is outside the grant; that write and those after it were not sent.
            ControlSystemError: a write failed.
            OutcomeUnknownError: no confirmation came.
        """
        ...

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return archived values of each channel; with `bin`, means over so many seconds.

        Raises:
            ControlSystemError: there is no archive, or it does not have a channel; the message names it.
        """
        ...

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Run a command and return its answer: a write, unless the limits database lists it as a query.

        Raises:
            WriteRefused: it is not what was approved.
            ControlSystemError: it failed, or certainly was not run.
            OutcomeUnknownError: no answer came.
        """
        ...

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Journal and refuse what would change something, but cannot be checked.

        Raises:
            WriteRefused: always.
        """
        ...

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Note what the program says it will write."""
        ...

    @property
    def halted(self) -> str | None:
        """Why nothing more is written: somebody else wrote a channel, or the run left its approval; else None."""
        ...

    @property
    def effects(self) -> MachineEffects:
        """What this run did to the machine so far."""
        ...

    @property
    def writes(self) -> Sequence[Write]:
        """Writes that were sent, in order."""
        ...

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Writes that were refused, in order."""
        ...

    @property
    def reads(self) -> Sequence[Reading]:
        """Everything that was read, in order, for the replay."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of this session besides."""
        ...
