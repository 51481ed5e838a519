"""Leases: which run may write to which channels of which machine, one at a time, until its execution has ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import aiosqlite

from osprey_executor.errors import MachineBusyError
from osprey_executor.models import WHOLE_MACHINE, common_channel, same_machine
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Lease:
    """What a run holds for itself alone."""

    machine: str
    """By `osprey_executor.models.machine_of`."""
    channels: tuple[str, ...] = WHOLE_MACHINE
    """Canonical names; `*` alone is the whole machine."""


async def take(db: aiosqlite.Connection, run_id: str, lease: Lease) -> None:
    """Take a lease, within a transaction of the caller's; one that the run has already is replaced.

    Raises:
        MachineBusyError: another run holds a part of it; the message names that run.
    """
    if held := await busy(db, run_id, lease):
        raise MachineBusyError(held)
    await db.execute(
        "INSERT INTO leases (run_id, machine, channels, taken_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run_id) DO UPDATE SET machine = excluded.machine, channels = excluded.channels",
        (run_id, lease.machine, json.dumps(lease.channels), datetime.now(UTC).isoformat(timespec="seconds")),
    )


async def busy(db: aiosqlite.Connection, run_id: str, lease: Lease) -> str | None:
    """Return which other run holds a part of what `lease` asks for, in words; None: none does."""
    held = await db.execute_fetchall(
        "SELECT run_id, machine, channels, taken_at FROM leases WHERE run_id != ?", (run_id,)
    )
    for other in held:
        if not same_machine(lease.machine, other["machine"]):
            continue
        channel = common_channel(lease.channels, json.loads(other["channels"]))
        if channel is not None:
            what = "this machine" if channel == "*" else one_line(channel)
            return (
                f"run {other['run_id']} holds {what} for writing since {other['taken_at']}: "
                f"wait until it has ended (`osprey-executor watch {other['run_id']}`), or cancel it"
            )
    return None


async def release(db: aiosqlite.Connection, run_id: str) -> None:
    """Give back what a run holds, within a transaction of the caller's."""
    await db.execute("DELETE FROM leases WHERE run_id = ?", (run_id,))
