"""The checkpoints of the graph in the state folder: SQLite, and a serialiser that knows no type of anyone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from osprey_executor.errors import StorageError
from osprey_executor.storage import make_private, open_database


class Checkpoints(AsyncSqliteSaver):
    """One checkpoint after each node; each outlives the process at once, and `make_durable` a loss of power."""

    def __init__(self, path: Path, db: aiosqlite.Connection, serde: JsonPlusSerializer) -> None:
        super().__init__(db, serde=serde)
        self._path = path

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep interrupts, resumes and errors. What a node returned stands in the checkpoint that follows at once."""
        if any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await super().aput_writes(config, writes, task_id, task_path)

    async def make_durable(self) -> None:
        """Return when the checkpoints would outlive a loss of power.

        Raises:
            StorageError: they cannot be written to the disk.
        """
        try:
            await asyncio.to_thread(_sync, self._path.with_name(f"{self._path.name}-wal"))
        except OSError as error:
            raise StorageError(f"the checkpoints in {self._path} cannot be written: {error}") from error


@asynccontextmanager
async def open_checkpoints(home: Path) -> AsyncGenerator[Checkpoints]:
    """Open the checkpoints of a state folder.

    The serialiser is strict: no pickle, and from msgpack only the built-in safe types, so that whoever can write to
    the file cannot make this process construct anything.

    Raises:
        StorageError: the file cannot be opened.
    """
    path = await asyncio.to_thread(make_private, home, "checkpoints.sqlite")
    serde = JsonPlusSerializer(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None)
    try:
        db = await open_database(path)
        try:
            saver = Checkpoints(path, db, serde)
            await saver.setup()
            await db.execute("PRAGMA synchronous = NORMAL")
            yield saver
        finally:
            await db.close()
    except sqlite3.Error as error:
        raise StorageError(f"the checkpoints in {path} cannot be used: {error}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
