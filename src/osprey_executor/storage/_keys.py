"""Keys of requests: what a person asked for under a key is done once, however often and wherever it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiosqlite

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import RunSummary
from osprey_executor.text import one_line

_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Claim:
    """What a key stands for."""

    run_id: str
    answer: RunSummary | None
    """None: nobody has been answered yet."""
    at: datetime
    """When it was asked first."""


async def claim(db: aiosqlite.Connection, person: str, key: str, asked: str, run_id: str) -> Claim:
    """See `RunStore.claim`; within a transaction of the caller's."""
    now = datetime.now(UTC)
    await db.execute("DELETE FROM keys WHERE at < ?", ((now - _KEPT).isoformat(),))
    await db.execute(
        "INSERT OR IGNORE INTO keys (person, key, asked, run_id, at) VALUES (?, ?, ?, ?, ?)",
        (person, key, asked, run_id, now.isoformat()),
    )
    [row] = await db.execute_fetchall(
        "SELECT asked, run_id, answer, at FROM keys WHERE person = ? AND key = ?", (person, key)
    )
    if row["asked"] != asked:
        raise InvalidRequestError(
            f"the key {one_line(key, 80)!r} stands for another request of {one_line(person, 80)}: take a new one"
        )
    answer = RunSummary.model_validate_json(row["answer"]) if row["answer"] else None
    return Claim(row["run_id"], answer, datetime.fromisoformat(row["at"]))


async def answer(db: aiosqlite.Connection, person: str, key: str, given: RunSummary) -> RunSummary:
    """See `RunStore.answer`; within a transaction of the caller's."""
    mine = (person, key)
    await db.execute(
        "UPDATE keys SET answer = ? WHERE person = ? AND key = ? AND answer IS NULL", (given.model_dump_json(), *mine)
    )
    kept = list(await db.execute_fetchall("SELECT answer FROM keys WHERE person = ? AND key = ?", mine))
    return RunSummary.model_validate_json(kept[0]["answer"]) if kept and kept[0]["answer"] else given
