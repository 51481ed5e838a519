"""Quarantine: channels whose last write has no known end, until a person settles it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import aiosqlite

from osprey_executor.errors import InvalidDecision
from osprey_executor.models import Settlement, Unsettled, Write, same_machine

OPEN = (
    "SELECT number, run_id, machine, channel, previous, value, since FROM quarantine WHERE settled_at IS NULL"
    " ORDER BY number"
)


async def put(db: aiosqlite.Connection, run_id: str, unsettled: Sequence[Write]) -> None:
    """Put the channels of writes into quarantine, on the machine of the run's lease, within the caller's transaction.

    A run without a lease has sent nothing, or its writes were put there when its lease was given back.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for write in unsettled:
        await db.execute(
            "INSERT INTO quarantine (run_id, machine, channel, previous, value, since)"
            " SELECT run_id, machine, ?, ?, ?, ? FROM leases WHERE run_id = ?",
            (write.channel, write.previous, write.value or None, now, run_id),
        )


def chosen(rows: Iterable[sqlite3.Row], run_id: str | None, machine: str | None) -> list[Unsettled]:
    """Return rows of `OPEN`, of one run or of one machine."""
    found = [Unsettled.model_validate(dict(row)) for row in rows]
    return [
        one
        for one in found
        if (run_id is None or one.run_id == run_id) and (machine is None or same_machine(machine, one.machine))
    ]


async def lift(db: aiosqlite.Connection, settlement: Settlement) -> None:
    """Let the channels of a settlement be written again, within a transaction of the caller's.

    Raises:
        InvalidDecision: somebody was first.
    """
    assert settlement.at is not None, "a settlement that is recorded has its time"
    at = settlement.at.astimezone(UTC).isoformat()
    for write in settlement.writes:
        lifted = await db.execute(
            "UPDATE quarantine SET settled_by = ?, settled_at = ?, outcome = ?, seen = ?"
            " WHERE number = ? AND run_id = ? AND settled_at IS NULL",
            (settlement.by, at, write.outcome, write.present, write.number, settlement.run_id),
        )
        if lifted.rowcount != 1:
            raise InvalidDecision(f"run {settlement.run_id} was settled meanwhile; `osprey-executor show` tells how")
