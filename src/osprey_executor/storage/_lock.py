"""Who drives a run: the process that holds its lock. The kernel releases it when that process dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from types import TracebackType

from osprey_executor.errors import StorageError

_POLL_SECONDS = 0.1


class RunLock:
    """An exclusive lock on the folder of one run, held by at most one driver in any process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it.

        Raises:
            StorageError: the folder of the run is gone or unwritable.
        """
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(f"the run folder {self._path.parent} cannot be used: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    async def wait(self) -> None:
        """Wait until the lock is free, and take it."""
        while not self.acquire():  # noqa: ASYNC110 - it is another process that releases it
            await asyncio.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Give the lock back; without effect if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_driven(folder: Path) -> bool:
    """Tell whether some process drives the run in `folder` at this moment."""
    lock = RunLock(folder)
    try:
        return not lock.acquire()
    except StorageError:
        return False
    finally:
        lock.release()
