"""Pages of runs and of cards that wait, each found by an index that begins where the page before it ended."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Row
from typing import Final

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import RUNNING, RunFilter, RunPage, RunStatus, RunSummary, Waiting, WaitingPage

Rows = Callable[[str, tuple[object, ...]], Awaitable[list[Row]]]
"""Executes a query."""
SUMMARY: Final = "run_id, state, effects, task, requester, generator, created_at, finished_at"
"""What a summary needs; a row also holds the configuration of its run, which is long."""
_PLACE: Final = "(created_at, run_id)"
# Where a state is asked for, few runs are in it that are not at their end.
_FEW: Final = (RUNNING, RunStatus.AWAITING_APPROVAL)
_WAITING: Final = """
SELECT run_id, created_at, digest, decision, expires_at, json_extract(card, '$.headline') AS headline,
    json_extract(card, '$.requester') AS requester, json_extract(card, '$.task') AS task,
    json_extract(card, '$.verdict') AS verdict, json_extract(card, '$.control_system.type') AS machine,
    json_extract(card, '$.control_system.real') AS real, json_extract(card, '$.created_at') AS card_at,
    coalesce(json_array_length(card, '$.plan.writes'), 0) AS writes
FROM runs JOIN cards USING (run_id)
WHERE number = (SELECT max(number) FROM cards AS newer WHERE newer.run_id = runs.run_id)
    AND run_id IN (SELECT run_id FROM runs INDEXED BY runs_in_state WHERE {where} ORDER BY created_at, run_id LIMIT ?)
ORDER BY created_at, run_id
"""


def summary_of(row: Row, folder: Path) -> RunSummary:
    """Return the summary that a row holds; `folder` is that of its run."""
    return RunSummary(**{name: row[name] for name in SUMMARY.split(", ")}, folder=folder)


async def page_of_runs(rows: Rows, folder: Callable[[str], Path], wanted: RunFilter, limit: int, after: str) -> RunPage:
    """Return up to `limit` runs, the newest first; see `RunStore.page`."""
    conditions, values = _conditions(wanted)
    if after:
        conditions.append(f"{_PLACE} < (?, ?)")
        values += _read_cursor(after)
    few = wanted.state in _FEW and not wanted.text
    index = "runs_in_state" if few else "runs_in_time"
    found = await rows(
        f"SELECT {SUMMARY} FROM runs WHERE run_id IN (SELECT run_id FROM runs INDEXED BY {index}"  # noqa: S608 - constant text
        f" WHERE {' AND '.join(conditions) or 'TRUE'} ORDER BY created_at DESC, run_id DESC LIMIT ?)"
        " ORDER BY created_at DESC, run_id DESC",
        (*values, limit + 1),
    )
    runs = tuple(summary_of(row, folder(row["run_id"])) for row in found[:limit])
    return RunPage(runs=runs, next=_cursor(found[limit - 1]) if len(found) > limit else None)


async def page_of_waiting(
    rows: Rows, is_driven: Callable[[str], bool], requester: str | None, limit: int, after: str
) -> WaitingPage:
    """Return up to `limit` cards that wait, the runs that were begun first before others; see `RunStore.waiting`."""
    conditions, values = ["state = ?"], [str(RunStatus.AWAITING_APPROVAL)]
    if requester is not None:
        conditions.append("requester = ?")
        values.append(requester)
    count = f"SELECT count(*) AS total FROM runs INDEXED BY runs_in_state WHERE {' AND '.join(conditions)}"  # noqa: S608
    [counted] = await rows(count, tuple(values))
    if after:
        conditions.append(f"{_PLACE} > (?, ?)")
        values += _read_cursor(after)
    found = await rows(_WAITING.format(where=" AND ".join(conditions)), (*values, limit + 1))
    waiting = tuple(_waiting(row) for row in found[:limit] if row["decision"] is None or not is_driven(row["run_id"]))
    next_ = _cursor(found[limit - 1]) if len(found) > limit else None
    return WaitingPage(approvals=waiting, total=counted["total"], next=next_)


def _waiting(row: Row) -> Waiting:
    told = {name: row[name] for name in Waiting.model_fields if name != "created_at"}
    return Waiting(**told, created_at=row["card_at"])


def _conditions(wanted: RunFilter) -> tuple[list[str], list[str]]:
    conditions: list[str] = []
    values: list[str] = []
    for name in ("state", "effects", "requester"):
        if (value := getattr(wanted, name)) is not None:
            conditions.append(f"{name} = ?")
            values.append(str(value))
    if wanted.text:
        escaped = wanted.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        conditions.append(r"(task LIKE ? ESCAPE '\' OR run_id BETWEEN ? AND ?)")
        values += [f"%{escaped}%", wanted.text, f"{wanted.text}\U0010ffff"]
    for moment, sign in ((wanted.since, ">="), (wanted.until, "<")):
        if moment is not None:
            conditions.append(f"created_at {sign} ?")
            values.append(_text_of(moment))
    return conditions, values


def _text_of(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC).isoformat()
    except OverflowError:  # the first and the last day of the calendar have no other side
        return aware.replace(tzinfo=UTC).isoformat()


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row['created_at']} {row['run_id']}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> list[str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        created_at, run_id = text.split(" ")
        datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("that is no cursor: give the `next` of an earlier page, as it is") from None
    return [created_at, run_id]
