"""The tables of the state folder, and how a connection to them is opened."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import aiosqlite

from osprey_executor.errors import StorageError

_VERSION = 4
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    effects TEXT NOT NULL DEFAULT 'none',
    task TEXT NOT NULL,
    requester TEXT NOT NULL,
    generator TEXT NOT NULL,
    config TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    finished_at TEXT
) STRICT;
-- They hold all that runs are searched by: a row itself is long. Version 2 had shorter ones.
DROP INDEX IF EXISTS runs_by_time;
DROP INDEX IF EXISTS runs_by_state;
CREATE INDEX IF NOT EXISTS runs_in_time ON runs (created_at, run_id, state, effects, requester, task);
CREATE INDEX IF NOT EXISTS runs_in_state ON runs (state, created_at, run_id, effects, requester);
CREATE TABLE IF NOT EXISTS cards (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    digest TEXT NOT NULL,
    card TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    decision TEXT,
    decided_by TEXT,
    decided_at TEXT,
    redeemed_at TEXT,
    proof TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS cards_by_run ON cards (run_id);
-- Of cards that need more than one yes: those that were given, until the last one decides.
CREATE TABLE IF NOT EXISTS approvals (
    number INTEGER PRIMARY KEY,
    card INTEGER NOT NULL REFERENCES cards (number) ON DELETE CASCADE,
    approver TEXT NOT NULL,
    proof TEXT NOT NULL,
    digest TEXT NOT NULL,
    at TEXT NOT NULL,
    UNIQUE (card, approver)
) STRICT;
CREATE TABLE IF NOT EXISTS remembered (
    standing TEXT PRIMARY KEY,
    approver TEXT NOT NULL,
    proof TEXT NOT NULL,
    until TEXT NOT NULL,
    run_id TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS executions (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    number INTEGER NOT NULL,
    may_write INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    PRIMARY KEY (run_id, number)
) STRICT;
CREATE TABLE IF NOT EXISTS leases (
    run_id TEXT PRIMARY KEY REFERENCES runs (run_id),
    machine TEXT NOT NULL,
    channels TEXT NOT NULL,
    taken_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    machine TEXT NOT NULL,
    channel TEXT NOT NULL,
    previous TEXT,
    value TEXT,
    since TEXT NOT NULL,
    settled_by TEXT,
    settled_at TEXT,
    outcome TEXT,
    seen TEXT
) STRICT;
-- What was asked for under which key, so that asking twice does it once.
CREATE TABLE IF NOT EXISTS keys (
    person TEXT NOT NULL,
    key TEXT NOT NULL,
    asked TEXT NOT NULL,
    run_id TEXT NOT NULL,
    answer TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (person, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_by_time ON keys (at);
-- What somebody outside has been told, or is being told: each thing once, by whichever process.
CREATE TABLE IF NOT EXISTS announced (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    what TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (run_id, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cards_undecided ON cards (run_id) WHERE decision IS NULL;
CREATE INDEX IF NOT EXISTS executions_writing ON executions (started_at) WHERE may_write;
-- A lease ends with its execution or its run, whoever records that end.
CREATE TRIGGER IF NOT EXISTS execution_ends AFTER UPDATE OF finished_at ON executions WHEN NEW.finished_at IS NOT NULL
BEGIN
    DELETE FROM leases WHERE run_id = NEW.run_id;
END;
CREATE TRIGGER IF NOT EXISTS run_ends AFTER UPDATE OF finished_at ON runs WHEN NEW.finished_at IS NOT NULL
BEGIN
    DELETE FROM leases WHERE run_id = NEW.run_id;
END;
CREATE INDEX IF NOT EXISTS quarantine_open ON quarantine (number) WHERE settled_at IS NULL;
"""


def storage_error(folder: Path, error: Exception) -> StorageError:
    """Return the one sentence for a state folder that cannot be used."""
    return StorageError(
        f"the state folder {folder} cannot be used: {error}; "
        "make room or make it writable, or name another one with OSPREY_EXECUTOR_HOME"
    )


def make_private(home: Path, name: str) -> Path:
    """Create the state folder and a file in it, both for this user only, and return the file's path.

    A folder that is there already stays as it is: it may be a person's own, and everything in it is private by itself.

    Raises:
        StorageError: they cannot be made.
    """
    path = home / name
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise storage_error(home, error) from error
    return path


async def _open(path: Path) -> aiosqlite.Connection:
    """Open a database file; a cancel meanwhile leaves no thread behind that would call into a closed loop."""
    opening = asyncio.ensure_future(_connected(path))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await (await opening).close()
        raise


async def _connected(path: Path) -> aiosqlite.Connection:
    return await aiosqlite.connect(path, isolation_level=None, timeout=30)


async def _upgrade(db: aiosqlite.Connection, version: int) -> None:
    """Give tables of an older version the columns that have come since; of several processes at once, one does."""
    if not 0 < version < _VERSION:
        return
    await db.execute("BEGIN IMMEDIATE")
    columns = {row["name"] for row in await db.execute_fetchall("PRAGMA table_info(cards)")}
    if "proof" not in columns:
        await db.execute("ALTER TABLE cards ADD COLUMN proof TEXT")
    await db.execute("COMMIT")


async def connect(home: Path) -> aiosqlite.Connection:
    """Open `index.sqlite` in the state folder, safe against a kill of the process (WAL, synchronous=NORMAL).

    What must outlive a power cut, too, is written with synchronous=FULL.

    Raises:
        StorageError: the file cannot be opened, or belongs to a newer version.
    """
    path = await asyncio.to_thread(make_private, home, "index.sqlite")
    try:
        db = await _open(path)
        try:
            db.row_factory = sqlite3.Row
            await db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")
            version = await (await db.execute("PRAGMA user_version")).fetchone()
            if version and version[0] > _VERSION:
                raise StorageError(
                    f"the state folder {home} was written by a newer version of osprey-executor; upgrade, "
                    "or name another folder with OSPREY_EXECUTOR_HOME"
                )
            await _upgrade(db, version[0] if version else 0)
            await db.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        except BaseException:
            await db.close()
            raise
    except sqlite3.Error as error:
        raise storage_error(home, error) from error
    return db
