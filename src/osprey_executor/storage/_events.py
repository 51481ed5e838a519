"""The events of a run as lines of JSON in its folder, for whoever watches from another process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
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
    """Appends events of one run. The last one, `Finished`, is not written: the result is in the manifest."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"
        self._written = self._path.stat().st_size if self._path.exists() else 0

    def append(self, event: Event) -> None:
        """Write one event; output beyond 64 MiB a run is left out, the run goes on.

        Raises:
            StorageError: the file cannot be written.
        """
        if isinstance(event, Finished) or self._written > _MOST_BYTES:
            return
        line = _EVENT.dump_json(event) + b"\n"
        try:
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(f"events of the run cannot be written to {self._path}: {error}") from error
        self._written += len(line)


async def follow(folder: Path, ended: asyncio.Event) -> AsyncIterator[Event]:
    """Yield the events of a run from its first one, as they come, until `ended` is set and all are read."""
    path = folder / "events.jsonl"
    rest = b""
    position = 0
    while True:
        last_look = ended.is_set()
        piece = _read_from(path, position)
        position += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            try:
                yield _EVENT.validate_json(line)
            except ValidationError:
                continue  # a line that a crash or a hand cut short tells nothing
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
