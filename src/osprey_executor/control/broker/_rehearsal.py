"""The broker's side of a rehearsal: reads are answered, writes are kept from the machine and become a plan."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from osprey_executor.control.broker._calls import answer_of, query_of, unchecked_attempt
from osprey_executor.control.broker._check import Planned
from osprey_executor.control.broker._command import Command
from osprey_executor.control.broker._declared import declared_ranges
from osprey_executor.control.broker._metered import Metered
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._overlay import Overlay
from osprey_executor.control.broker._permit import RehearsalPermit
from osprey_executor.control.broker._session import MOST_CHANNELS, Session
from osprey_executor.control.broker._start import allowed_difference, plain, start_of
from osprey_executor.control.broker._values import plain_value, shown
from osprey_executor.control.broker._watched import Watched
from osprey_executor.control.connectors._protocol import ChannelKind, Connector, Sample
from osprey_executor.control.limits._check import present_value
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.control.limits._words import limits_told
from osprey_executor.errors import ControlSystemError, InvalidRequestError, WriteRefused
from osprey_executor.models import (
    AttemptedWrite,
    ChannelStart,
    History,
    Plan,
    PlannedWrite,
    Reading,
    Refusal,
    RunStatus,
)
from osprey_executor.models.plan import PlainValue
from osprey_executor.text import one_line

MOST_PLANNED = 10_000
_MOST_UNCHECKED = 1000
"""Of the attempts that are told: whoever floods these leaves room for writes."""
_CLEARLY = timedelta(seconds=1)
"""Before the first write: an archive takes the time from a clock of its own."""


def _nothing() -> None:
    """Nobody wants to know."""


class RehearsalSession(Session):
    """A session whose writes reach the overlay only: what it says of effects and of writes that were sent is none.

    Args:
        overlay: over the control system.
        run_id: stands on every entry of the journal.
        shut: why nothing could be written whoever approves it; None: an approval could.
        journal: file of the journal of this rehearsal.
        limits: what may be written to which channel; None: whatever fits it.
        archiver: where history comes from; None: from the control system.
        stale_after: seconds after which a value is too old to be read; None: it never is.
        simulated: whether a simulator stands in for the machine.
        on_write: called at the first write that is kept from the machine.
    """

    def __init__(
        self,
        overlay: Overlay,
        *,
        run_id: str,
        shut: str | None,
        journal: Path,
        limits: RunLimits | None,
        archiver: Connector,
        stale_after: float | None,
        simulated: bool,
        on_write: Callable[[], None] = _nothing,
    ) -> None:
        super().__init__(
            overlay,
            run_id=run_id,
            permit=RehearsalPermit(),
            shut=shut,
            stopped=_never,
            journal=journal,
            limits=limits,
            archiver=archiver,
            stale_after=stale_after,
        )
        self._overlay = overlay
        self._looks = self._metered
        self._machine = Metered(overlay.machine)
        self._simulated = simulated
        self._planned: list[PlannedWrite] = []
        self._attempted: list[AttemptedWrite] = []
        self._unchecked = 0
        self._start: dict[str, ChannelStart] = {}
        self._declared: dict[str, tuple[float, float]] = {}
        self._depends: tuple[int | None] | None = None
        self._first: datetime | None = None
        """When the first write was kept from the machine."""
        self._watched = Watched(overlay)
        self._too_many = False
        self._begun = time.monotonic()
        self._on_write = on_write

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        """Return one reading a channel, of the overlay where that has it.

        Raises:
            ControlSystemError: as for any run.
        """
        self._look(channels, line)
        return await super().read(channels, line)

    async def samples(self, channels: Sequence[str], *, described: bool = False) -> Mapping[str, Sample]:
        """Return one sample a channel, of the overlay where that has it; see `Session.samples`."""
        if not described:
            self._look(channels, None)
        return await super().samples(channels, described=described)

    async def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        """Yield the present sample, then each change that the rehearsal would see."""
        async with contextlib.aclosing(super().monitor(channel)) as samples:
            with self._watched.open() as watched:
                async for sample in samples:
                    if watched.tells_a_change(sample):
                        self._depend(None)
                    yield sample

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return archived values of each channel; what was before the first write is not moved by a rehearsal."""
        if self._first is not None and end > self._first - _CLEARLY:
            self._depend(None)
        return await super().history(channels, start, end, bin)

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Check the writes as for any run, and keep them in the overlay.

        Raises:
            WriteRefused: they would be refused, whoever approves them.
            ControlSystemError: a channel does not answer.
        """
        if isinstance(values, Mapping) and len(values) <= MOST_CHANNELS:  # pyright: ignore[reportUnnecessaryIsInstance]
            room = MOST_PLANNED - len(self._attempted)
            told = [(_name(name), _tried(value)) for name, value in list(values.items())[:room]]
            self._attempted += [AttemptedWrite(channel=name, value=value, line=line) for name, value in told]
        return await super().write(values, line)

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Answer a query; keep another command for the plan, and return None: nobody knows what it would answer.

        Raises:
            WriteRefused: it would be refused, whoever approves it.
            ControlSystemError: a query failed.
        """
        if query_of(channel, self._limits) is None and len(self._attempted) < MOST_PLANNED:
            self._attempted.append(AttemptedWrite(channel=_name(channel), value=_asked(arguments), line=line))
        return await super().call(channel, arguments, line)

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Take note of it, and refuse it as for any run; see `Session.attempted`."""
        if self._unchecked < _MOST_UNCHECKED and len(self._attempted) < MOST_PLANNED:
            attempt = unchecked_attempt(channel, told, 0)
            self._attempted.append(AttemptedWrite(channel=attempt.channel, value=attempt.value))
        self._unchecked += 1
        await super().attempted(channel, told)

    async def _ask(self, name: str, arguments: Mapping[str, Any], line: int | None) -> Any:
        # Past the overlay, which has no commands: what a query asks is as the machine is, whatever channel has it.
        if self._overlay.moved:
            self._depend(line)
        return await answer_of(self._machine, self._to_be_read(name), arguments)

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Keep what the program says it will write, for the card.

        Raises:
            InvalidRequestError: not channels with a lowest and a highest value each.
        """
        declared = declared_ranges(ranges, MOST_CHANNELS)
        if len(self._declared.keys() | declared.keys()) > MOST_CHANNELS:
            raise InvalidRequestError(f"more than {MOST_CHANNELS} channels declared")
        await super().declare_writes(ranges)
        self._declared.update(declared)

    async def look_at_declared(self) -> None:
        """Read the channels that were declared and not written, so that the card knows how they are.

        One that cannot be read is not known to the card; the others are, whatever the program has named beside them.
        """
        wanted = [name for name in self._declared if name not in self._start]
        try:
            await self._look_at(wanted)
        except ControlSystemError:
            await asyncio.gather(*(self._look_at([name]) for name in wanted), return_exceptions=True)

    async def _look_at(self, channels: list[str]) -> None:
        if self._limits is not None:
            self._limits.readable(channels)
        for name, sample in (await self._machine.read(channels)).items():
            self._start[name] = start_of(sample, self._limits_of(name))

    @property
    def moved(self) -> bool:
        """Whether anything was written, so that what is read from now on may be the overlay's."""
        return self._overlay.moved

    def plan(self, ended: RunStatus, error: str = "") -> Plan:
        """Return what the rehearsal found out; it `ended` so, because of `error`."""
        return Plan(
            writes=tuple(self._planned),
            refused=tuple(self.refusals),
            attempted=tuple(self._attempted),
            start=dict(self._start),
            declared=dict(self._declared),
            simulated=self._simulated,
            feedback_dependent=self._depends is not None or self._watched.unsure,
            # What was watched may have been used right after the first write, in whichever line that was.
            feedback_dependent_from=self._depends[0] if self._depends and not self._watched.unsure else None,
            ended=ended,
            error=error,
            seconds=time.monotonic() - self._begun,
            at=datetime.now(UTC),
            too_many=self._too_many,
        )

    async def _send(self, write: Planned) -> None:
        """Keep one checked write in the overlay and in the plan; a command in the plan alone."""
        attempt = write.attempt
        if len(self._planned) >= MOST_PLANNED:
            self._too_many = True
            raise WriteRefused(f"a plan holds {MOST_PLANNED} writes, and a rehearsal ends there")
        if isinstance(write.value, Command):
            self._keep_command(write, write.value)
            return
        if attempt.channel not in self._start:
            sample = (await self._overlay.of_machine([attempt.channel]))[attempt.channel]
            self._start[attempt.channel] = start_of(sample, write.limits)
        before = (await self._overlay.read([attempt.channel]))[attempt.channel]
        self._first = self._first or datetime.now(UTC)
        confirmation = await self._overlay.write(attempt.channel, write.value)
        if not self._planned:
            self._on_write()
        if not self._watched.settle(attempt.channel, self._start[attempt.channel]):
            self._depend(None)
        if self._limits is not None and write.limits is not None:
            self._limits.wrote(attempt.channel, write.value, time.monotonic())
            if read_back := write.limits.verification.read_back:
                await self._overlay.show(read_back, write.value)
                self._watched.show(channel_name(read_back).canonical)
        self._watched.look()
        self._planned.append(
            PlannedWrite(
                index=len(self._planned) + 1,
                channel=attempt.channel,
                now=present_value(before) if before.kind is ChannelKind.NUMBER else write.previous,
                value=plain(write.value),
                shown=_shown(confirmation.read_back, write.value),
                delta=_delta(before, write.value),
                tolerance=allowed_difference(write.limits, write.value),
                limits=limits_told(write.limits) if write.limits else "",
                verdict="within limits" if write.limits else "fits the channel; no limits are configured",
                line=attempt.line,
            )
        )
        self._journal.append(attempt.entry("rehearsed", previous=write.previous))

    def _keep_command(self, write: Planned, command: Command) -> None:
        attempt = write.attempt
        if not self._planned:
            self._on_write()
        self._planned.append(
            PlannedWrite(
                index=len(self._planned) + 1,
                channel=attempt.channel,
                value=command.text,
                shown=command.text,
                command=True,
                limits=limits_told(write.limits) if write.limits else "",
                verdict="a command: what it does and answers cannot be rehearsed",
                line=attempt.line,
            )
        )
        self._journal.append(attempt.entry("rehearsed"))
        self._depend(attempt.line)  # on what it would have done, and answered

    def _limits_of(self, channel: str) -> Any:
        return self._limits.of(channel) if self._limits is not None else None

    def _look(self, channels: Sequence[str], line: int | None) -> None:
        if not self._overlay.moved or self._depends is not None:
            return
        for channel in [channels] if isinstance(channels, str) else channels:
            try:
                if not self._overlay.answers(channel_name(channel).canonical):
                    return self._depend(line)
            except (ValueError, TypeError):  # reading it says what is wrong with it
                continue

    def _depend(self, line: int | None) -> None:
        self._depends = self._depends or (line,)


async def _never() -> None:
    """A kill switch stops what reaches the machine; nothing of a rehearsal does."""


def _name(asked: object) -> str:
    try:
        return channel_name(asked).canonical
    except (ValueError, TypeError):
        return shown(asked)


def _asked(arguments: object) -> str:
    try:
        return Command.of(arguments).text
    except ValueError:
        return f"call {shown(arguments)}"


def _tried(value: Any) -> PlainValue:
    try:
        return plain(plain_value(value))
    except (ValueError, TypeError):
        return shown(value)


def _delta(before: Sample, value: Any) -> float | None:
    present = present_value(before)
    return None if present is None or not isinstance(value, int | float) else float(value) - present


def _shown(seen: Sample | None, value: Any) -> str:
    labelled = seen is not None and seen.labels and isinstance(value, int) and 0 <= value < len(seen.labels)
    return one_line(seen.labels[value], 60) if labelled and seen is not None else shown(value)
