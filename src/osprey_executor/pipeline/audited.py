"""What the audit trail is told of an execution: what it was allowed before it starts, and what it did."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from osprey_executor.audit import Trail, journal_mark
from osprey_executor.models import ControlSession, Grant, MachineEffects
from osprey_executor.pipeline.rooms import Rooms

_MOST_REFUSALS = 20


async def tell_allowed(rooms: Rooms, grant: Grant | None) -> None:
    """Record what a run that may write is allowed.

    Raises:
        StorageError: it cannot be recorded, so nothing is executed.
    """
    if grant is None:
        facts: dict[str, object] = {"allowed": "writes to a simulated machine, without asking"}
    else:
        facts = grant.model_dump(mode="json", exclude={"run_id", "envelope"})
        facts["envelope"] = grant.envelope.digest if grant.envelope else None
    await rooms.in_thread(
        partial(rooms.store.trail.record, "grant", durable=grant is not None, run=rooms.run_id, **facts)
    )


async def tell_done(rooms: Rooms, session: ControlSession) -> None:
    """Record what a run wrote and what was refused; nothing of a run that tried neither."""
    if not session.writes and not session.refusals and session.effects is MachineEffects.NONE:
        return
    channels = list(dict.fromkeys(write.channel for write in session.writes))
    refused = [f"{one.channel}: {one.reason}" for one in session.refusals[:_MOST_REFUSALS]]

    def note() -> None:
        rooms.store.trail.note(
            "writes",
            durable=session.effects is not MachineEffects.NONE,
            run=rooms.run_id,
            effects=session.effects.value,
            writes=len(session.writes),
            channels=channels,
            refusals=len(session.refusals),
            refused=refused,
            journal=journal_mark(rooms.folder.journal),
        )

    await rooms.in_thread(note)


def tell_lost(trail: Trail, run_id: str, effects: MachineEffects, journal: Path) -> None:
    """Record what is known of a run whose process died while it may have written."""
    trail.note("writes", durable=True, run=run_id, effects=effects.value, died=True, journal=journal_mark(journal))
