"""The events of a run as lines of JSON in its folder, for whoever watches from another process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from osprey_executor.errors import StorageError
from osprey_executor.models import Stage
from osprey_executor.models.events import Event, Finished, Output, StageStarted

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_POLL_SECONDS = 0.1
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST_BYTES = 64 * 2**20


class EventLog:
    """Appends events of one run. The last one, `Finished`, is not written: the result is in the manifest.

    The event loop never waits for the disk: a thread writes, and `listener` hears what is written.
    """

    def __init__(self, folder: Path, listener: Callable[[Event], None] | None = None) -> None:
        self._path = folder / "events.jsonl"
        self._listener = listener
        self._written: int | None = None
        self._waiting: list[Event] = []
        self._task: asyncio.Task[None] | None = None
        self._failed: StorageError | None = None

    def append(self, event: Event) -> None:
        """Let one event be written; output beyond 64 MiB a run is left out, the run goes on.

        Raises:
            StorageError: an earlier one could not be written.
        """
        if self._failed is not None:
            raise self._failed
        self._waiting.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until all events are written.

        Raises:
            StorageError: one could not be written.
        """
        if self._task is not None:
            await asyncio.shield(self._task)
        if self._failed is not None:
            raise self._failed

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._append, batch)
            except StorageError as error:
                self._failed = error
                return
            for event in batch:
                if self._listener:
                    self._listener(event)

    def _append(self, batch: list[Event]) -> None:
        kept = [_EVENT.dump_json(event) + b"\n" for event in batch if not isinstance(event, Finished)]
        try:
            descriptor = os.open(self._path, _APPEND, 0o600)
            try:
                if self._written is None:
                    self._written = os.fstat(descriptor).st_size
                for line in kept:
                    if self._written <= _MOST_BYTES:
                        self._written += os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(f"events of the run cannot be written to {self._path}: {error}") from error


async def follow(folder: Path, ended: asyncio.Event, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
    """Yield the events of a run, as they come, until `ended` is set and all are read.

    Args:
        folder: of the run.
        ended: set when no more will be written.
        after: how many lines of the file are passed over.

    Yields:
        The number of the line, from 1, and its event.
    """
    path = folder / "events.jsonl"
    rest = b""
    position = number = 0
    while True:
        last_look = ended.is_set()
        piece = await asyncio.to_thread(_read_from, path, position)
        position += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            number += 1
            if number <= after:
                continue
            try:
                event = _EVENT.validate_json(line)
            except ValidationError:
                continue  # a line that a crash or a hand cut short tells nothing
            yield number, event
        if last_look:
            return
        if not piece:
            await asyncio.sleep(_POLL_SECONDS)


def last_output(folder: Path, most: int) -> tuple[str, str]:
    """Return standard output and standard error of the last execution as far as the events tell, `most` bytes read."""
    text = {"stdout": "", "stderr": ""}
    for line in _read_from(folder / "events.jsonl", 0, most).split(b"\n"):
        try:
            event = _EVENT.validate_json(line)
        except ValidationError:
            continue
        if isinstance(event, StageStarted) and event.stage is Stage.EXECUTION:
            text = {"stdout": "", "stderr": ""}
        elif isinstance(event, Output):
            text[event.stream] += event.text
    return text["stdout"], text["stderr"]


def _read_from(path: Path, position: int, most: int = 2**20) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(most)
    except OSError:
        return b""
