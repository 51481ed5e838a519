"""LangGraph's store on a SQLite file of its own, opened at its first use, in a thread, by one process at a time."""

# langgraph ships without py.typed in places.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
import fcntl
import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from osprey_executor.errors import StorageError
from osprey_executor.memory._words import TABLES

if TYPE_CHECKING:
    from langgraph.store.sqlite import SqliteStore

_T = TypeVar("_T")
_CREATE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PATIENCE = 5
"""Seconds to wait for another process; runs wait for it too, and go on without the memory."""


class Store:
    """The file `memory.sqlite` of a state folder."""

    def __init__(self, home: Path) -> None:
        self._path = home / "memory.sqlite"
        self._lock = home / "memory.lock"
        self._thread = ThreadPoolExecutor(1, "memory")
        self._opened: SqliteStore | None = None

    async def look(self, work: Callable[[SqliteStore], _T], nothing: _T) -> _T:
        """Return what `work` finds, or `nothing` where nobody has ever kept anything; the file is not made for it.

        Raises:
            StorageError: the file cannot be read.
        """
        return await self._do(partial(self._look, work, nothing))

    async def change(self, work: Callable[[SqliteStore], _T]) -> _T:
        """Return what `work` returns; meanwhile no other process changes anything.

        Raises:
            StorageError: the file cannot be written.
        """
        return await self._do(partial(self._change, work))

    async def close(self) -> None:
        """Close the file, after what was asked before."""
        await self._do(self._close)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            # The library ends its transaction whatever happened, so the cause may be the error before the last.
            cause = error.__context__ if isinstance(error.__context__, sqlite3.Error) else error
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise self._held(self._path) from error
            raise StorageError(
                f"the memory {self._path} cannot be used: {cause}; make room or make it writable, or move the file "
                "away, which begins a new one"
            ) from error

    def _look(self, work: Callable[[SqliteStore], _T], nothing: _T) -> _T:
        if self._opened is None:
            if not self._path.exists():
                return nothing
            _library()
            with self._alone():
                self._opened = self._open()
        return work(self._opened)

    def _change(self, work: Callable[[SqliteStore], _T]) -> _T:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _library()
        with self._alone():
            if self._opened is None:
                self._opened = self._open()
            return work(self._opened)

    @contextmanager
    def _alone(self) -> Generator[None]:
        # The library looks and writes in transactions of their own, and makes its tables without any.
        descriptor = os.open(self._lock, _CREATE, 0o600)
        try:
            self._take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        # Not by a call that waits: whoever keeps the lock would keep every run, and Ctrl-C ends no thread.
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise self._held(self._lock) from None
                time.sleep(0.02)

    def _held(self, path: Path) -> StorageError:
        return StorageError(
            f"the memory {self._path} cannot be used: another process has held {path.name} for more than {_PATIENCE} "
            f"s; try again when it is done, or end it (`fuser {shlex.quote(str(path))}` tells its id)"
        )

    def _open(self) -> SqliteStore:
        os.close(os.open(self._path, _CREATE, 0o600))  # SQLite gives its other files the same rights
        db = sqlite3.connect(self._path, isolation_level=None, timeout=_PATIENCE, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            store = _library()(db)
            store.setup()
            db.executescript(TABLES)
        except BaseException:
            db.close()
            raise
        return store

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.conn.close()
            self._opened = None


def _library() -> type[SqliteStore]:
    # It takes a second or more to import: nobody waits for it who uses no memory, or while this has the lock.
    from langgraph.store.sqlite import SqliteStore

    return SqliteStore
