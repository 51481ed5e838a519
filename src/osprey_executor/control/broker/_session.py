"""The broker's side of one run: reads are recorded; every write is checked, journalled, sent and confirmed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from osprey_executor.control.broker._archive import MOST_CHANNELS as MOST_OF_HISTORY
from osprey_executor.control.broker._archive import history_of
from osprey_executor.control.broker._calls import answer_of, call_attempt, passed_on, query_of, unchecked_attempt
from osprey_executor.control.broker._check import (
    Attempt,
    Planned,
    Reads,
    attempts_of,
    not_permitted,
    planned,
    previous_of,
    readable,
)
from osprey_executor.control.broker._command import Command
from osprey_executor.control.broker._declared import declared_ranges
from osprey_executor.control.broker._held import Held, anyone, with_held
from osprey_executor.control.broker._journal import Journal
from osprey_executor.control.broker._metered import Metered
from osprey_executor.control.broker._names import channel_name
from osprey_executor.control.broker._permit import WritePermit
from osprey_executor.control.broker._reads import ReadLog
from osprey_executor.control.broker._refusals import Refusals
from osprey_executor.control.broker._start import Expected, held, plain
from osprey_executor.control.broker._values import fitted, shown
from osprey_executor.control.broker._verify import agrees, disagreement
from osprey_executor.control.connectors._protocol import Connector, Sample
from osprey_executor.control.limits._entry import Verification
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.control.limits._words import limits_told
from osprey_executor.errors import (
    ControlSystemError,
    InvalidRequestError,
    OutcomeUnknownError,
    StorageError,
    WriteConflictError,
    WriteRefused,
)
from osprey_executor.models import History, MachineEffects, Reading, Refusal, Write, common_channel
from osprey_executor.text import one_line

MOST_CHANNELS = 10_000
"""Of one call."""
_MOST_WRITES = 100_000
_MOST_ATTEMPTS = 200_000
"""Each has its lines in the journal, whatever becomes of it; of those beyond, as many as are kept as refused."""
_MOST_DECLARED = 100_000
_MOST_TOLD = 5
_LARGEST_LINE = 10_000_000
_UNSETTLED = "an earlier write of this run has no confirmation: until that is settled nothing more is written"


async def nothing_lacks() -> str | None:
    """Return None: no precondition is configured."""
    return None


class Session:
    """See `osprey_executor.models.ControlSession`. It belongs to the event loop of its broker.

    Args:
        connector: the control system.
        run_id: stands on every entry of the journal.
        permit: what may be written; None: nothing.
        shut: why nothing is written at all, whatever the permit says; None: it decides.
        stopped: asked in the moment before each write is sent; returns why none may be now, stop actions included.
        unready: asked with it for the writes of the program; returns which precondition does not hold.
        held: asked in that moment, too, whether this run, and no other one, may write the channel.
        journal: file of the journal.
        limits: what may be written to which channel; None: whatever fits it.
        archiver: where history comes from; None: from the control system.
        stale_after: seconds after which a value is too old to be read; None: it never is.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        run_id: str,
        permit: WritePermit | None,
        shut: str | None,
        stopped: Callable[[], Awaitable[str | None]],
        journal: Path,
        unready: Callable[[], Awaitable[str | None]] = nothing_lacks,
        held: Held = anyone,
        limits: RunLimits | None = None,
        archiver: Connector | None = None,
        stale_after: float | None = None,
    ) -> None:
        self._connector = connector
        self._metered = Metered(connector)
        """The same, for what the program asks for itself: whatever it does, no write or stop action waits for it."""
        self._looks: Reads = connector
        """Where it looks before it writes."""
        self._archiver = archiver or connector
        self._stale_after = stale_after
        self._permit = permit
        self._shut, self._stopped, self._unready, self._held = shut, stopped, unready, held
        self._journal = Journal(journal, run_id)
        self._one_at_a_time = asyncio.Lock()
        self._attempts = 0
        self._effects = MachineEffects.NONE
        self._writes: list[Write] = []
        self._limits = limits
        self._refusals = Refusals(self._journal)
        self._reads = ReadLog()
        self._expected = Expected(permit.start) if permit is not None and permit.start is not None else None
        self._halted: str | None = None
        self._not_at_rest: list[str] = []
        self._unlike: dict[str, str] = {}
        """What was written to a channel and did not show in it."""
        self._declared_names = 0
        self._under_way: tuple[str, asyncio.Event] | None = None
        """The channel of a write of the program's that was sent and has no end yet; its end sets the event."""

    @property
    def halted(self) -> str | None:
        """Why the run was stopped: somebody else wrote a channel, or it left what was approved; None: it was not."""
        return self._halted or (self._permit.left if self._permit is not None else None)

    @property
    def effects(self) -> MachineEffects:
        """What this run did to the machine so far."""
        return self._effects

    @property
    def writes(self) -> Sequence[Write]:
        """Writes that were sent, in order."""
        return tuple(self._writes)

    @property
    def refusals(self) -> Sequence[Refusal]:
        """Writes that were refused, in order; the first ten thousand."""
        return self._refusals.kept

    @property
    def reads(self) -> ReadLog:
        """Everything that was read, in order; how much was too much to be kept says `reads.dropped`."""
        return self._reads

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know: what is missing in the record, stop actions and writes that were not made."""
        dropped = self._reads.dropped
        told = (f"{dropped} readings were too many for the record; a replay ends before them",) if dropped else ()
        unmade = self._permit.unmade if self._permit is not None else None
        unlike = [f"{one_line(name, 60)} was written as {how}" for name, how in self._unlike.items()]
        if (more := len(unlike) - _MOST_TOLD) > 0:
            unlike[_MOST_TOLD:] = [f"{more} more channels do not read as they were written"]
        return (*told, *unlike, *self._not_at_rest, *self._refusals.notes, *([unmade] if unmade else []))

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        """Return one reading a channel, by the names as asked for.

        Args:
            channels: names.
            line: of the program, as it reports it; a rehearsal wants to know it.

        Raises:
            ControlSystemError: a channel is no name, unknown, disconnected, INVALID, or not to be read by the limits
                database; the message names it.
        """
        if isinstance(channels, str):
            channels = [channels]
        if len(channels) > MOST_CHANNELS:
            raise ControlSystemError(f"{len(channels)} channels in one call: at most {MOST_CHANNELS} are read at once")
        try:
            canonical = {asked: channel_name(asked).canonical for asked in channels}
        except (ValueError, TypeError) as error:
            raise ControlSystemError(f"cannot be read: {error}") from None
        names = list(dict.fromkeys(canonical.values()))
        if self._limits is not None:
            self._limits.readable(names)
        samples = await self._metered.read(names)
        readable(samples, self._stale_after)
        # A sample is a reading; only one asked for by another name needs a reading of its own.
        readings: dict[str, Reading] = {
            asked: samples[name] if asked == name else samples[name].reading(asked) for asked, name in canonical.items()
        }
        self._reads.add(readings.values())
        return readings

    async def samples(self, channels: Sequence[str], *, described: bool = False) -> Mapping[str, Sample]:
        """Return one sample a channel, by the names as asked for, for a gateway: its client sees severity and time.

        Args:
            channels: names.
            described: only what the channels hold is wanted, and the values are shown to nobody: that is no reading.

        Raises:
            ControlSystemError: a channel is no name, unknown, disconnected, or not to be read by the limits database.
        """
        canonical = {asked: self._to_be_read(asked) for asked in channels}
        samples = await self._metered.read(list(dict.fromkeys(canonical.values())))
        if not described:
            self._reads.add(samples.values())
        return {asked: samples[name] for asked, name in canonical.items()}

    async def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        """Yield the present sample, then each change, for a gateway.

        Raises:
            ControlSystemError: see `samples`, at any time.
        """
        async with contextlib.aclosing(self._metered.monitor([self._to_be_read(channel)])) as samples:
            async for sample in samples:
                self._reads.add([sample])
                yield sample

    def _to_be_read(self, asked: str) -> str:
        try:
            name = channel_name(asked).canonical
        except ValueError as error:
            raise ControlSystemError(f"cannot be read: {error}") from None
        if self._limits is not None:
            self._limits.readable([name])
        return name

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Write each channel in order. All are checked before the first is sent: a refused call sends nothing.

        Returns:
            What was left out: writes outside their limits, where the limits database has `on_violation: skip`.

        Raises:
            WriteRefused: a channel or value is outside of what was approved, or does not fit the channel.
            WriteConflictError: somebody else has written the channel; nothing more is written.
            ChannelLimitsViolationError: it is outside the limits database.
            ControlSystemError: a write failed and certainly did not arrive, or it did and the read-back disagrees;
                those after it were not sent.
            OutcomeUnknownError: no confirmation came; those after it were not sent, and nothing more will be.
            StorageError: the journal cannot be written, so nothing is sent.
        """
        if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # it comes from the code
            self._refuse_whole(f"a write takes a mapping of channels to values, not {type(values).__name__}")
        if len(values) > MOST_CHANNELS:
            self._refuse_whole(f"{len(values)} channels in one call: at most {MOST_CHANNELS} are written at once")
        async with self._one_at_a_time:
            plan, skipped = await self._checked(values, _sane(line))
            for write in plan:
                await self._send(write)
            return skipped

    def _refuse_whole(self, problem: str) -> NoReturn:
        self._attempts += 1
        self._refusals.refuse_unchecked(Attempt(self._attempts, "(no channel)", None, None, problem))

    async def history(
        self, channels: Sequence[str], start: datetime, end: datetime, bin: float | None = None
    ) -> Mapping[str, History]:
        """Return archived values of each channel; with `bin`, means over so many whole seconds.

        Raises:
            ControlSystemError: there is no archive, it lacks a channel, or it is too much for one call.
        """
        readable = self._limits.readable if self._limits is not None else None
        await self._metered.turn(min(len(channels), MOST_OF_HISTORY))
        found = await history_of(self._archiver, channels, start, end, bin, readable)
        self._metered.pay(history.values for history in found.values())
        return found

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Run a command and return its answer. It is a write, unless the limits database lists it as a query.

        Raises:
            WriteRefused: it is not what was approved.
            ControlSystemError: it failed, or certainly was not run.
            OutcomeUnknownError: no answer came; nothing more is written.
            StorageError: the journal cannot be written, so nothing is sent.
        """
        if (name := query_of(channel, self._limits)) is not None:
            return await self._ask(name, arguments, line)
        async with self._one_at_a_time:
            self._attempts += 1
            closed = await self._closed()
            attempt = call_attempt(channel, arguments, _sane(line), self._attempts, self._permit, closed, self._limits)
            [attempt] = await with_held([attempt], self._held)
            if not self._refusals.full:
                self._journal.append(attempt.entry("attempt"))
            if attempt.problem:
                self._refusals.refuse([attempt], [attempt])
            limits = self._limits.of(attempt.channel) if self._limits is not None else None
            write = Planned(attempt, attempt.value, None, None, limits)
            self._follow_approval([write], [attempt])
            return passed_on(attempt.channel, await self._send(write))

    async def _ask(self, name: str, arguments: Mapping[str, Any], line: int | None) -> Any:
        return await answer_of(self._metered, self._to_be_read(name), arguments)

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Journal and refuse what would change something, but is neither a value nor a command that can be checked.

        Raises:
            WriteRefused: always.
            StorageError: the journal cannot be written.
        """
        self._attempts += 1
        self._refusals.refuse_unchecked(unchecked_attempt(channel, told, self._attempts))

    @property
    def may_write(self) -> bool:
        """Whether anything was granted to this run."""
        return self._permit is not None and self._shut is None

    async def abort(self, reason: str) -> None:
        """Write nothing more for the program, and perform the stop actions of the channels that it has written.

        The last one written comes to rest first; one whose write is still under way at once, as far as its control
        system lets us, and again when that write has ended. Each is journalled as a write; none is sent while writes
        are stopped, or where this run does not hold the channel any more.

        Raises:
            StorageError: the journal cannot be written, so no stop action is sent.
        """
        self._halted = f"aborted: {one_line(reason, 400)}"
        self._journal.append({"event": "aborted", "reason": one_line(reason, 400)})
        moving, ended = self._under_way or (None, None)
        later = [] if moving is None else [moving]
        written = list(dict.fromkeys((*later, *reversed([write.channel for write in self._writes]))))
        later += [one for one in written if not await self._bring_to_rest(one, meanwhile=moving)]
        if ended is not None:
            await ended.wait()
        for channel in dict.fromkeys(later):
            await self._bring_to_rest(channel)

    async def _bring_to_rest(self, written: str, meanwhile: str | None = None) -> bool:
        """Perform the stop action of a channel; return False for one that writes the record of a write under way.

        That write may take its time, a motor's for as long as it moves, so the others do not wait for it. To its own
        record a second one would: EPICS takes them one after the other (dbNotify.c).
        """
        limits = self._limits.of(written) if self._limits is not None else None
        action = limits.stop_action if limits is not None else None
        if action is None:
            return True
        channel = action.channel or written
        if meanwhile is not None and common_channel([channel], [meanwhile]) is not None:
            return False
        await self._perform(channel, action.value)
        return True

    async def _perform(self, channel: str, value: float | str) -> None:
        self._attempts += 1
        attempt = Attempt(self._attempts, channel, value, None)
        problem = await self._at_rest(attempt)
        if problem is not None:
            told = f"{one_line(channel, 100)} = {shown(value)}: {one_line(problem, 300)}"
            self._not_at_rest.append(f"a stop action was not performed, or not for certain: {told}")

    async def _at_rest(self, attempt: Attempt) -> str | None:
        """Write what a stop action says; return what is wrong, None: it is done."""
        channel = attempt.channel
        limits = self._limits.of(channel) if self._limits is not None else None
        try:
            sample = (await self._connector.read([channel]))[channel]
            write = Planned(attempt, fitted(attempt.value, sample), previous_of(sample), held(sample), limits)
        except (ControlSystemError, ValueError) as error:
            problem = str(error)
        else:
            intended = attempt.entry("intended", previous=write.previous, before=write.before, stop_action=True)
            await asyncio.to_thread(self._journal.append, intended, durable=True)
            problem = await self._stopped() or (await self._held([channel])).get(channel)
            if problem is None:
                try:
                    await self._transmit(write)
                except (ControlSystemError, OutcomeUnknownError) as error:  # the journal tells, and the others follow
                    return str(error)
                return None
        self._journal.append(attempt.entry("not_sent", reason=f"stop action: {one_line(problem, 300)}"))
        return problem

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Note in the journal what the program says it will write.

        Raises:
            InvalidRequestError: not channels with a lowest and a highest value each.
        """
        declared = declared_ranges(ranges, MOST_CHANNELS)
        self._declared_names += len(declared)
        if self._declared_names > _MOST_DECLARED:
            raise InvalidRequestError(f"more than {_MOST_DECLARED} channels declared in one run, the same ones counted")
        self._journal.append({"event": "declared", "ranges": declared})

    async def _checked(self, values: Mapping[str, Any], line: int | None) -> tuple[list[Planned], list[Refusal]]:
        attempts = attempts_of(values, line, self._attempts + 1, self._permit, await self._closed(), self._limits)
        attempts = await with_held(attempts, self._held)
        self._attempts += len(attempts)
        if not self._refusals.full:
            self._journal.append(*(attempt.entry("attempt") for attempt in attempts))
        skipped = self._left_out([attempt for attempt in attempts if attempt.problem], attempts)
        going = [attempt for attempt in attempts if not attempt.problem]
        try:
            plan, refused = await planned(going, self._looks, self._limits)
        except ControlSystemError as error:
            self._journal.append(*(attempt.entry("not_sent", reason=one_line(str(error))) for attempt in going))
            raise
        skipped += self._left_out(refused, going)
        self._follow_approval(plan, going)
        return plan, skipped

    def _follow_approval(self, plan: list[Planned], going: list[Attempt]) -> None:
        """Refuse the call if one of its writes, in this order, is not what was approved."""
        broken = [
            replace(write.attempt, problem=problem)
            for ahead, write in enumerate(plan)
            if (problem := not_permitted(self._permit, write.attempt.channel, write.value, ahead))
        ]
        if broken:
            self._refusals.refuse(broken, going)

    def _left_out(self, refused: list[Attempt], attempts: list[Attempt]) -> list[Refusal]:
        """Return the refused attempts where the limits database lets the rest of their call go on; else raise."""
        within = [attempt for attempt in refused if not attempt.rule or self._limits is None or not self._limits.skip]
        if within:
            self._refusals.refuse(within, attempts)
        return self._refusals.skip(refused) if refused else []

    async def _closed(self) -> str | None:
        if self._effects is MachineEffects.UNKNOWN:
            return _UNSETTLED
        if self._halted is not None:
            return f"this run was stopped: {self._halted}"
        if len(self._writes) >= _MOST_WRITES:
            return f"more than {_MOST_WRITES} writes in one run"
        if self._attempts >= _MOST_ATTEMPTS:
            return f"more than {_MOST_ATTEMPTS} attempts to write in one run"
        return self._shut or await self._unready() or await self._stopped()

    async def _send(self, write: Planned) -> Any:
        """Send a write that passed the checks; return the answer of a command."""
        attempt = write.attempt
        await self._still_permitted(write)
        try:
            told = limits_told(write.limits) if write.limits else None
            intended = attempt.entry("intended", previous=write.previous, before=write.before, limits=told)
            await asyncio.to_thread(self._journal.append, intended, durable=True)
            await self._undisturbed(write)
            await self._still_permitted(write)
        except asyncio.CancelledError:
            with contextlib.suppress(StorageError):
                self._journal.append(attempt.entry("not_sent", reason="cancelled"))
            raise
        assert self._permit is not None, "without one it is not permitted"
        self._permit.wrote(attempt.channel, write.value)
        self._under_way = attempt.channel, asyncio.Event()
        try:
            answer = await self._transmit(write)
        finally:
            self._ended(attempt.channel)
        if write.limits is not None and not isinstance(write.value, Command):
            await self._verify(write, write.limits.verification)
        return answer

    async def _transmit(self, write: Planned) -> Any:
        """Send a write whose intention is on the disk, and say what became of it; return the answer of a command."""
        attempt = write.attempt
        self._journal.append(attempt.entry("sent"))
        when = time.monotonic()
        answer: Any = None
        seen: Sample | None = None
        try:
            if isinstance(write.value, Command):
                answer = await self._connector.call(attempt.channel, write.value.arguments)
            else:
                seen = (await self._connector.write(attempt.channel, write.value)).read_back
        except ControlSystemError as error:
            self._journal.append(attempt.entry("failed", reason=one_line(str(error))))
            raise
        except (OutcomeUnknownError, asyncio.CancelledError) as error:
            self._leave_unknown(write, str(error) or "cancelled before the confirmation")
            raise
        except BaseException as error:
            self._leave_unknown(write, f"{type(error).__name__}: {error}")
            raise OutcomeUnknownError(f"{one_line(attempt.channel)}: no confirmation: {error}") from error
        if self._effects is not MachineEffects.UNKNOWN:  # a stop action settles no other write
            self._effects = MachineEffects.WRITTEN
        self._keep(write, confirmed=True)
        if isinstance(write.value, Command):
            self._journal.append(attempt.entry("confirmed", answer=shown(answer), left=write.value.text))
            return answer
        if self._expected is not None:
            self._expected.wrote(attempt.channel, write.value, seen, write.limits)
        told = None if seen is None else shown(seen.value)
        left = plain(write.value) if seen is None else held(seen)
        self._journal.append(attempt.entry("confirmed", read_back=told, left=left))
        self._unlike.pop(attempt.channel, None)
        how = write.limits.verification if write.limits is not None else Verification()
        if seen is not None and how.level != "readback" and not agrees(write.value, seen, how):
            self._unlike[attempt.channel] = f"{shown(write.value)}, and reads {told}"
        if self._limits is not None and write.limits is not None:
            self._limits.wrote(attempt.channel, write.value, when)
        return None

    async def _verify(self, write: Planned, verification: Verification) -> None:
        if verification.level != "readback":
            return
        attempt = write.attempt
        wrong = await disagreement(self._connector, attempt.channel, write.value, verification)
        self._journal.append(attempt.entry("disagrees", reason=wrong) if wrong else attempt.entry("verified"))
        if wrong:
            raise ControlSystemError(f"{one_line(attempt.channel)}: {wrong}")

    async def _undisturbed(self, write: Planned) -> None:
        """Look at the channel in the last moment: it must be as the card showed it, or as this run has left it."""
        if self._expected is None or isinstance(write.value, Command):
            return
        attempt = write.attempt
        try:
            sample = (await self._connector.read([attempt.channel]))[attempt.channel]
        except ControlSystemError as error:
            self._journal.append(attempt.entry("not_sent", reason=one_line(str(error))))
            raise
        if (found := self._expected.conflict(attempt.channel, sample)) is None:
            return
        self._halted = f"conflict: {one_line(attempt.channel)}: {found}"
        conflict = f"{found}; nothing more is written by this run"
        with contextlib.suppress(WriteRefused):
            self._refusals.refuse([replace(attempt, problem=conflict, rule="conflict")], [])
        raise WriteConflictError(f"{one_line(attempt.channel)}: conflict: {conflict}")

    async def _still_permitted(self, write: Planned) -> None:
        """Ask again: since the call began an approval may have expired, or somebody has stopped all writes."""
        channel = write.attempt.channel
        # What asks the machine comes first, as its answer may take a while: the others are of the moment after it.
        unready = await self._unready()
        stopped = await self._stopped()
        taken = (await self._held([channel])).get(channel)
        # Without a wait between it and the send: an abort may have come during the questions above.
        halted = f"this run was stopped: {self._halted}" if self._halted is not None else None
        if problem := halted or stopped or unready or taken or not_permitted(self._permit, channel, write.value):
            self._refusals.refuse([replace(write.attempt, problem=problem)], [])

    def _leave_unknown(self, write: Planned, reason: str) -> None:
        self._effects = MachineEffects.UNKNOWN
        self._keep(write, confirmed=False)
        with contextlib.suppress(StorageError):  # without this entry the journal says unknown all the same
            self._journal.append(write.attempt.entry("unknown", reason=one_line(reason)), durable=True)

    def _ended(self, channel: str) -> None:
        if self._under_way is not None and self._under_way[0] == channel:
            self._under_way[1].set()
            self._under_way = None

    def _keep(self, write: Planned, *, confirmed: bool) -> None:
        attempt = write.attempt
        self._ended(attempt.channel)
        self._writes.append(
            Write(
                channel=attempt.channel,
                previous=write.previous,
                value=shown(attempt.value),
                confirmed=confirmed,
                line=attempt.line,
            )
        )


def _sane(line: object) -> int | None:
    return line if isinstance(line, int) and not isinstance(line, bool) and 0 < line < _LARGEST_LINE else None
