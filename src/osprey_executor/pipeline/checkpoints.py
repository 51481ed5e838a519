"""The checkpoints of the graph in the state folder: SQLite, and a serialiser that knows no type of anyone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from osprey_executor.errors import StorageError
from osprey_executor.storage import make_private

_T = TypeVar("_T")


class Checkpoints(SqliteSaver):
    """One checkpoint after each node; each outlives the process at once, and `make_durable` a loss of power.

    A thread of its own does what is asked, each time in one go: the library's asynchronous saver goes to its thread and
    back for every statement, which costs the event loop more than the statements.
    """

    def __init__(
        self, path: Path, db: sqlite3.Connection, serde: JsonPlusSerializer, thread: ThreadPoolExecutor
    ) -> None:
        super().__init__(db, serde=serde)
        self._path, self._thread = path, thread

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the last checkpoint of a run."""
        return await self._do(partial(self.get_tuple, config))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        return await self._do(partial(self.put, config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep interrupts, resumes and errors. What a node returned stands in the checkpoint that follows at once."""
        if any(channel in WRITES_IDX_MAP for channel, _ in writes):
            await self._do(partial(self.put_writes, config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove all checkpoints of a run."""
        await self._do(partial(self.delete_thread, thread_id))

    async def _do(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

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
    thread = ThreadPoolExecutor(1, "checkpoints")
    opening = thread.submit(_open, path, thread)
    try:
        yield await asyncio.shield(asyncio.wrap_future(opening))
    except sqlite3.Error as error:
        raise StorageError(f"the checkpoints in {path} cannot be used: {error}") from error
    finally:
        # In its turn: after what was asked before, and though the opening was cancelled.
        closing = thread.submit(lambda: opening.exception() or opening.result().conn.close())
        thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))


def _open(path: Path, thread: ThreadPoolExecutor) -> Checkpoints:
    serde = JsonPlusSerializer(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None)
    db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    try:
        saver = Checkpoints(path, db, serde, thread)
        saver.setup()
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return saver


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
