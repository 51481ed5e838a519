"""What a run holds for itself alone while it may write, and what it leaves closed behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osprey_executor.control import WritePermit, with_stop_channels
from osprey_executor.errors import ErrorCategory, MachineBusyError
from osprey_executor.models import (
    WHOLE_MACHINE,
    ApprovalCard,
    ErrorReport,
    Grant,
    MachineEffects,
    Stage,
    Write,
)
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.storage import Lease


class Holding:
    """The lease of one execution.

    With a grant it is taken at the start, or nothing starts. A run that nobody was asked about, which can only be on a
    simulated machine, takes it at its first write: most such runs never write, and need not wait for each other.
    """

    def __init__(
        self, rooms: Rooms, grant: Grant | None, card: ApprovalCard | None, permit: WritePermit | None
    ) -> None:
        self._rooms = rooms
        self._machine = rooms.broker.machine
        self._concurrent = rooms.config.control_system.concurrent_writers
        self._granted = _granted(card, grant) if grant is not None and permit is not None else ()
        self._taken: dict[str, None] | None = {} if grant is None and permit is not None else None
        """What was taken on the way; None: everything was at the start."""

    async def begin(self, number: int, *, may_write: bool, digest: str | None) -> None:
        """Record the start of execution `number` and take its lease, both or neither.

        Raises:
            OutcomeUnknownError: it was begun before, or its approval was used before.
            MachineBusyError: another run holds a part of it; the approval is as it was.
        """
        lease = self._lease(self._granted) if self._granted else None
        rooms = self._rooms
        try:
            await rooms.store.begin_execution(rooms.run_id, number, may_write=may_write, digest=digest, lease=lease)
        except MachineBusyError:
            # Whoever holds it may be dead, and nobody has looked since.
            await rooms.recover()
            await rooms.store.begin_execution(rooms.run_id, number, may_write=may_write, digest=digest, lease=lease)

    async def refused(self, channels: Sequence[str]) -> Mapping[str, str]:
        """Return why which channels may not be written now; see `osprey_executor.control.broker._held`."""
        rooms = self._rooms
        if self._taken is not None and not self._taken.keys() >= self._wanted(channels):
            wanted = {**self._taken, **dict.fromkeys(self._wanted(channels))}
            try:
                await rooms.store.take_lease(rooms.run_id, self._lease(tuple(wanted)))
            except MachineBusyError as busy:
                return dict.fromkeys(channels, str(busy))
            self._taken = wanted
        return rooms.store.guard.refused(rooms.run_id, self._machine, channels)

    def _wanted(self, channels: Sequence[str]) -> set[str]:
        return set(with_stop_channels(self._rooms.limits, channels) if self._concurrent else WHOLE_MACHINE)

    def _lease(self, channels: tuple[str, ...]) -> Lease:
        wanted = with_stop_channels(self._rooms.limits, channels) if self._concurrent else WHOLE_MACHINE
        return Lease(self._machine, wanted)


def machine_busy(busy: MachineBusyError, code: str) -> ErrorReport:
    """Return the report of a run that was refused because another one writes."""
    return ErrorReport(
        stage=Stage.EXECUTION,
        type="MachineBusyError",
        message=f"{busy}; nothing of this run was executed, so run it anew then and look at the machine as it is then",
        category=ErrorCategory.WORKFLOW,
        code=code,
    )


def unsettled_writes(effects: MachineEffects, writes: Sequence[Write], card: ApprovalCard | None) -> list[Write]:
    """Return the writes of an execution that nobody can say have arrived."""
    if effects is not MachineEffects.UNKNOWN:
        return []
    return [write for write in writes if not write.confirmed] or any_write(card)


def any_write(card: ApprovalCard | None) -> list[Write]:
    """Return all that a run may have been allowed, as writes of unknown values: its journal is damaged or gone."""
    channels = _granted(card, None) or WHOLE_MACHINE
    return [Write(channel=channel, value="", confirmed=False) for channel in channels]


def channels_of(card: ApprovalCard) -> tuple[str, ...]:
    """Return the channels that an approval of the card could allow, by plan or envelope."""
    return _granted(card, None)


def _granted(card: ApprovalCard | None, grant: Grant | None) -> tuple[str, ...]:
    """Return the channels that a grant allows; without it, those that a grant for this card could."""
    if card is None:
        return ()
    plan = [write.channel for write in card.plan.writes] if card.plan else []
    envelope = grant.envelope if grant else card.envelope
    ranges = [one.channel for one in envelope.channels] if envelope else []
    return tuple(dict.fromkeys(ranges if grant and envelope else (*plan, *ranges)))
