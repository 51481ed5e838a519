"""What every connector is: the one narrow interface between the broker and a control system."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from osprey_executor.models import History, Reading


class ChannelKind(StrEnum):
    """What a channel holds, and so what may be written to it."""

    NUMBER = "number"
    ENUM = "enum"
    TEXT = "text"
    ARRAY = "array"
    TABLE = "table"


class Sample(Reading):
    """A reading with what a write to the same channel has to know."""

    kind: ChannelKind = ChannelKind.NUMBER
    dtype: str = "f8"
    """numpy's name of a number: `f8`, `f4`, `i4`, `i2`, `u1`; of an element where the channel is an array."""
    labels: tuple[str, ...] = ()
    """Of an enum channel, in order of their numbers."""
    count: int = 1
    """Most elements of an array."""
    writable: bool = True
    """False: the control system itself refuses writes from here."""
    precision: int | None = None
    """Digits behind the point in which the control system shows it."""
    display_limits: tuple[float, float] | None = None
    low_alarms: tuple[float, float] | None = None
    """A number below these has an alarm, MAJOR and MINOR."""
    high_alarms: tuple[float, float] | None = None
    """A number above these has an alarm, MINOR and MAJOR."""
    control_limits: tuple[float, float] | None = None
    """Drive limits, or else control limits, of a number, as the control system tells them; None: it tells none."""

    def reading(self, name: str | None = None) -> Reading:
        """Return the plain reading, under the name by which it was asked for."""
        return Reading.model_construct(
            channel=self.channel if name is None else name,
            value=self.value,
            units=self.units,
            severity=self.severity,
            status=self.status,
            timestamp=self.timestamp,
        )


@dataclass(frozen=True)
class Confirmation:
    """The control system answered that a write is done."""

    read_back: Sample | None
    """The channel as read after the write; None where it could not be read. A drive limit shows here."""


@dataclass(frozen=True)
class LostAnswer:
    """In place of the answer of a command that was done and confirmed: it cannot be passed on."""

    reason: str


@dataclass(frozen=True)
class Timeouts:
    """Seconds that a connector waits before it gives up."""

    read: float = 5.0
    """For the connection and the answer to a read, however many channels it has."""
    write: float = 30.0
    """For the completion of a write: a put-callback ends when the device has done its work."""


@runtime_checkable
class Connector(Protocol):
    """One control system. Names are canonical and values checked before they come here.

    A connector belongs to the event loop in which it was connected. What it lacks raises `NotSupportedError`.
    """

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it looks for channels, as configured."""
        ...

    async def connect(self) -> None:
        """Make it ready.

        Raises:
            MissingExtraError: the library is not installed.
            ControlSystemError: it cannot be started.
        """
        ...

    async def close(self) -> None:
        """End it and all that it started; never raises, may be called twice."""
        ...

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel, all asked for at once; samples of severity INVALID are returned as they are.

        Raises:
            ChannelDisconnectedError: a channel is unknown or disconnected; the message names it.
            ControlSystemError: a channel cannot be read for another reason.
        """
        ...

    def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield each channel's present sample, then each change, until the generator is closed.

        Whoever takes them slowly misses samples between, never the newest one of a channel.

        Raises:
            ChannelDisconnectedError: a channel is unknown, or was disconnected since.
        """
        ...

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Write one channel and wait until the control system says that it is done.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: it was sent, and nobody can say whether it was written.
        """
        ...

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Run a command and return its answer, or a `LostAnswer`. The broker takes every call for a write.

        Raises:
            ControlSystemError: it certainly was not run, or the control system says that it failed.
            OutcomeUnknownError: it was sent, and no answer came.
        """
        ...

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return what was archived of each channel from `start` to `end`, both with a time zone.

        Args:
            channels: canonical names.
            start: a value that was valid then may come first, with its own, earlier time.
            end: included.
            bin: whole seconds: return the mean over each such interval; None: every value.

        Raises:
            ControlSystemError: it has no such channel, or too much of it; the message names the channel.
        """
        ...
