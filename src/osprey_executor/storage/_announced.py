"""What nobody outside has been told yet: cards that wait and that expired, runs that may write and that have."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from osprey_executor.models import Announcement, MachineEffects, RunStatus

_OLDEST = timedelta(days=1)
"""What ended before that is no news: nobody is told of years when a site begins to be told."""
_MOST = 100
_RUN = "runs.run_id, runs.state, runs.effects, runs.task, runs.requester"
_CARD = "json_extract(cards.card, '$.headline') AS headline, coalesce(cards.decided_by, '') AS approver"
_NEWEST = "(SELECT max(number) FROM cards AS newer WHERE newer.run_id = runs.run_id)"
UNTOLD = f"""
SELECT 'pending' AS kind, 'pending ' || cards.digest AS what, {_RUN}, {_CARD}, cards.expires_at,
    json_extract(cards.card, '$.created_at') AS at
FROM cards JOIN runs USING (run_id)
WHERE cards.decision IS NULL AND runs.state = :waiting AND cards.number = {_NEWEST} AND cards.expires_at > :now
    AND NOT EXISTS (SELECT 1 FROM announced WHERE run_id = cards.run_id AND announced.what = 'pending ' || cards.digest)
UNION ALL
SELECT 'expired', 'expired ' || cards.digest, {_RUN}, {_CARD}, cards.expires_at, cards.expires_at
FROM cards JOIN runs USING (run_id)
WHERE cards.decision IS NULL AND runs.state = :waiting AND cards.number = {_NEWEST}
    AND cards.expires_at <= :now AND cards.expires_at > :oldest
    AND NOT EXISTS (SELECT 1 FROM announced WHERE run_id = cards.run_id AND announced.what = 'expired ' || cards.digest)
UNION ALL
SELECT 'writing', 'writing ' || executions.number, {_RUN}, {_CARD}, NULL, executions.started_at
FROM executions JOIN runs USING (run_id) LEFT JOIN cards ON cards.number = {_NEWEST}
WHERE executions.may_write AND executions.started_at > :oldest AND NOT EXISTS
    (SELECT 1 FROM announced WHERE run_id = runs.run_id AND announced.what = 'writing ' || executions.number)
UNION ALL
SELECT DISTINCT 'ended', 'ended', {_RUN}, {_CARD}, NULL, runs.finished_at
FROM executions JOIN runs USING (run_id) LEFT JOIN cards ON cards.number = {_NEWEST}
WHERE executions.may_write AND executions.started_at > :oldest AND runs.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM announced WHERE run_id = runs.run_id AND announced.what = 'ended')
ORDER BY at LIMIT {_MOST}
"""  # noqa: S608 - constant text
TELL = "INSERT OR IGNORE INTO announced (run_id, what, at) VALUES (?, ?, ?)"


def moment() -> dict[str, str]:
    """Return what the question for the untold depends on."""
    now = datetime.now(UTC)
    return {"waiting": RunStatus.AWAITING_APPROVAL, "now": now.isoformat(), "oldest": (now - _OLDEST).isoformat()}


def announcement_of(row: sqlite3.Row) -> Announcement:
    """Return what a row tells."""
    return Announcement(
        kind=row["kind"],
        what=row["what"],
        run_id=row["run_id"],
        at=row["at"],
        state=row["state"],
        effects=MachineEffects(row["effects"]),
        task=row["task"],
        requester=row["requester"],
        headline=row["headline"] or "",
        approver=row["approver"] or "",
        expires_at=row["expires_at"],
    )
