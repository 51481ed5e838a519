"""The journal of one run: what it tried to write and what became of it, one JSON object a line, appended only."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from osprey_executor.errors import StorageError
from osprey_executor.models import MachineEffects, Write

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_BEGINNINGS = frozenset({"intended", "sent"})
_ENDS = frozenset({"confirmed", "failed", "unknown", "not_sent", "refused"})
_OPEN = _BEGINNINGS | {"unknown"}
_SETTLED = {"written": "confirmed", "not_written": "not_sent"}
"""What a later look at a channel makes of the end of its last write."""


class Journal:
    """Appends to a file, opened for each entry, so that nothing is left to be closed.

    Args:
        path: made with its first entry; its folder exists.
        run_id: stands on every entry.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self._path = path
        self._run_id = run_id
        self._lock = threading.Lock()

    def append(self, *entries: Mapping[str, Any], durable: bool = False) -> None:
        """Append entries; with `durable`, return only when they are on the disk.

        Raises:
            StorageError: they could not be written.
        """
        head = {"time": datetime.now(UTC).isoformat(timespec="microseconds"), "run": self._run_id}
        lines = b"".join(json.dumps({**head, **entry}).encode() + b"\n" for entry in entries)
        try:
            with self._lock:
                new = not self._path.exists()
                descriptor = os.open(self._path, _FLAGS, 0o600)
                try:
                    written = os.write(descriptor, lines)
                    if durable:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                if new and durable:
                    self._make_name_durable()
        except OSError as error:
            raise StorageError(f"the journal {self._path} cannot be written: {error.strerror or error}") from error
        if written != len(lines):
            raise StorageError(f"the journal {self._path} cannot be written: no space left")

    def _make_name_durable(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def writes_of(journal: Path) -> tuple[Write, ...]:
    """Return the writes of a journal that were sent, in order, also where the run was killed in the middle.

    A line that a kill cut short is left out: `effects_of` calls such a journal unknown.
    """
    writes: dict[Any, Write] = {}
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return ()
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            number, event = entry["write"], entry["event"]
            if event == "intended":
                writes[number] = Write(
                    channel=entry["channel"],
                    previous=entry.get("previous"),
                    value=entry["value"],
                    confirmed=False,
                    line=entry.get("line"),
                )
            elif event == "confirmed":
                writes[number] = writes[number].model_copy(update={"confirmed": True})
            elif event in _ENDS - {"unknown"}:
                writes.pop(number, None)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return tuple(writes.values())


def effects_of(journal: Path) -> MachineEffects:
    """Return what the run of a journal did to the machine, also where it was killed in the middle.

    A write that was intended and has no end is unknown until it is settled; so is everything where the journal cannot
    be read.
    """
    try:
        lines = journal.read_bytes().splitlines()
    except FileNotFoundError:
        return MachineEffects.NONE
    except OSError:
        return MachineEffects.UNKNOWN
    last: dict[Any, str] = {}
    channels: dict[Any, Any] = {}
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
            event, write = str(entry["event"]), entry.get("write")
            if event == "settled":
                for number in [one for one, event in last.items() if event in _OPEN]:
                    if channels[number] == entry["channel"]:
                        last[number] = _SETTLED.get(str(entry["outcome"]), "unknown")
                continue
            channels[write] = entry.get("channel")
            # The end of a write stands, whichever thread wrote its line first.
            if event in _ENDS or (event in _BEGINNINGS and last.get(write) not in _ENDS):
                last[write] = event
        except (ValueError, KeyError, TypeError, RecursionError):
            return MachineEffects.UNKNOWN
    if not _OPEN.isdisjoint(last.values()):
        return MachineEffects.UNKNOWN
    return MachineEffects.WRITTEN if "confirmed" in last.values() else MachineEffects.NONE
