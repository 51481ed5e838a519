"""The checkpoints of the graph in the state folder: SQLite, and a serialiser that knows no type of anyone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from osprey_executor.errors import StorageError
from osprey_executor.storage import make_private, open_database


@asynccontextmanager
async def open_checkpoints(home: Path) -> AsyncGenerator[AsyncSqliteSaver]:
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
            saver = AsyncSqliteSaver(db, serde=serde)
            await saver.setup()
            yield saver
        finally:
            await db.close()
    except sqlite3.Error as error:
        raise StorageError(f"the checkpoints in {path} cannot be used: {error}") from error
