"""Asked in the moment before each write: does the run still hold its lease, and is the channel out of quarantine?

It must cost next to nothing and be of this moment, so it reads the index itself, on a connection of its own: no thread,
no waiting for whoever writes the index (a reader of a write-ahead log waits for nobody), and no copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from osprey_executor.models import Unsettled
from osprey_executor.storage import _quarantine

_PATIENCE = 0.05
"""Seconds; the event loop waits meanwhile. Whoever makes a reader of the index wait longer than that is broken."""


class WriteGuard:
    """The guard of one state folder. It belongs to one thread, and connects at its first use."""

    def __init__(self, home: Path) -> None:
        self._path = home / "index.sqlite"
        self._db: sqlite3.Connection | None = None

    def refused(self, run_id: str, machine: str, channels: Sequence[str]) -> dict[str, str]:
        """Return why which of `channels`, canonical names, may not be written now. What cannot be seen may not be.

        Args:
            run_id: the run that would write.
            machine: on which machine, by `osprey_executor.models.machine_of`.
            channels: canonical names.
        """
        try:
            held, rows = self._look(run_id)
        except (sqlite3.Error, OSError) as error:
            return dict.fromkeys(channels, f"the leases of the state folder cannot be looked at: {error}")
        if not held:
            gone = "this run does not hold the machine any more: it was taken for dead, or the state folder was changed"
            return dict.fromkeys(channels, gone)
        closed = _quarantine.chosen(rows, None, machine)
        return {channel: why for channel in channels if (why := _quarantined(channel, closed))}

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _look(self, run_id: str) -> tuple[bool, list[sqlite3.Row]]:
        if self._db is None:
            # Not `rwc`: an index that is gone must not be made anew.
            place = f"{self._path.absolute().as_uri()}?mode=rw"
            self._db = sqlite3.connect(place, uri=True, isolation_level=None, timeout=_PATIENCE)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA query_only = ON")
        with closing(self._db.execute("SELECT 1 FROM leases WHERE run_id = ?", (run_id,))) as found:
            held = found.fetchone() is not None
        with closing(self._db.execute(_quarantine.OPEN)) as found:
            return held, found.fetchall()


def _quarantined(channel: str, closed: Sequence[Unsettled]) -> str | None:
    return next((one.reason for one in closed if one.covers(channel)), None)
