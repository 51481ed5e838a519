"""The control session of a replay: reads answer from the record, writes are compared with it and change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from osprey_executor.errors import ControlSystemError, OutcomeUnknownError, WriteRefused
from osprey_executor.models import History, MachineEffects, Reading, Refusal, Write
from osprey_executor.results.folder import RunFolder
from osprey_executor.results.osprey_replay.recording import NotRecorded, RecordedWrite, Recording, Refused, Unconfirmed
from osprey_executor.text import one_line


class ReplaySession:
    """Stands where the broker's session stood, for an engine of any kind."""

    def __init__(self, reads: Iterable[Reading], writes: Iterable[Write], refusals: Iterable[Refusal] = ()) -> None:
        self._recording: Recording[Reading] = Recording(
            ((reading.channel, reading) for reading in reads),
            [RecordedWrite(each.channel, each.value, None, each.line, each.confirmed) for each in writes],
            [
                RecordedWrite(each.channel, each.value, each.reason, each.line, skipped=each.skipped)
                for each in refusals
            ],
        )
        self._reads: list[Reading] = []
        self._refusals: list[Refusal] = []

    @classmethod
    def of(cls, folder: RunFolder, attempt: int | None = None) -> ReplaySession:
        """Return the session that replays an attempt of a run; by default the one that gave its result.

        Raises:
            StorageError: the record is missing or damaged.
        """
        number = attempt if attempt is not None else folder.manifest().final_attempt or 1
        kept = folder.attempt(number)
        if not kept.has_outcome:
            return cls((), ())
        record = kept.record()
        return cls(kept.reads(), record.writes, record.refusals)

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        """Return the next recorded reading of each channel.

        Raises:
            ControlSystemError: the record has none, or no further one.
        """
        answer: dict[str, Reading] = {}
        for channel in channels:
            try:
                answer[channel] = self._recording.read(channel)
            except NotRecorded as error:
                raise ControlSystemError(one_line(str(error), 500)) from None
        self._reads += answer.values()
        return answer

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Compare the writes with those of the run, and return those that it left out. Nothing is sent anywhere.

        Raises:
            WriteRefused: the run was refused these writes too.
            OutcomeUnknownError: the run got no confirmation of one either.
        """
        try:
            skipped = self._recording.write(values.items(), line)
        except Refused as error:
            self._refusals += [_refusal(each, line) for each in error.which]
            raise WriteRefused(str(error)) from None
        except Unconfirmed as error:
            raise OutcomeUnknownError(str(error)) from None
        left_out = [_refusal(each, line) for each in skipped]
        self._refusals += left_out
        return left_out

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Raise ControlSystemError: what an archive answered is not recorded."""
        raise ControlSystemError("replay: archived values are not in the record")

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Raise ControlSystemError: what commands answer is not recorded."""
        raise ControlSystemError("replay: what commands answered is not in the record")

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Refuse: a replay changes nothing."""
        raise WriteRefused("a replay changes nothing")

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Take note of nothing: a replay needs no plan."""

    halted = None

    @property
    def effects(self) -> MachineEffects:
        """None, always."""
        return MachineEffects.NONE

    @property
    def writes(self) -> Sequence[Write]:
        """Nothing: a replay sends no writes."""
        return ()

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Writes that the run was refused and this replay too."""
        return tuple(self._refusals)

    @property
    def reads(self) -> Sequence[Reading]:
        """What was answered so far."""
        return tuple(self._reads)

    @property
    def notes(self) -> Sequence[str]:
        """The deviations, with what they deviate from."""
        return tuple(f"replay: {text}" for text in self.deviations)

    @property
    def deviations(self) -> tuple[str, ...]:
        """What this replay did otherwise than the run, in words; look at it after the end."""
        return tuple(one_line(text, 500) for text in (*self._recording.deviations, *self._recording.missing()))


def _refusal(each: RecordedWrite, line: int | None) -> Refusal:
    return Refusal(channel=each.channel, value=each.value, reason=each.refused or "", line=line, skipped=each.skipped)
