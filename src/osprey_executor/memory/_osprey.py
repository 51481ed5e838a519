"""Osprey's user memory, as its service writes it: `{user_id, last_updated, entries: [{timestamp, content}]}` a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from osprey_executor.errors import InvalidRequestError
from osprey_executor.memory._items import is_text
from osprey_executor.text import one_line

_MOST_BYTES = 16 * 2**20
_FORMAT = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Entry:
    """One thing remembered."""

    user: str
    text: str
    at: datetime | None
    """None: the file does not tell."""
    where: str
    """For messages."""


def read_osprey(folder: Path, user: str | None = None) -> tuple[list[Entry], list[str]]:
    """Return what the files of a folder hold, of one user or of all, and why what could not be read.

    Raises:
        InvalidRequestError: the folder cannot be read, or holds nothing of that user.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise InvalidRequestError(f"{one_line(str(folder), 500)} cannot be read: {error.strerror or error}") from error
    if not files:
        raise InvalidRequestError(
            f"{one_line(str(folder), 500)} holds no .json file; Osprey keeps its user memory where "
            "file_paths.user_memory_dir says"
        )
    entries: list[Entry] = []
    problems: list[str] = []
    for path in files:
        try:
            entries += _entries(path, problems)
        except ValueError as error:
            problems.append(f"{one_line(path.name)}: {error}")
    if user is not None:
        entries = [entry for entry in entries if entry.user == user]
        if not entries:
            problems.append(f"nothing is remembered of a user {one_line(user)!r}")
    return entries, problems


def _entries(path: Path, problems: list[str]) -> list[Entry]:
    """Return what one file holds.

    Raises:
        ValueError: it is not such a file.
    """
    data = _document(path)
    user, listed = data.get("user_id"), data.get("entries")
    if not isinstance(user, str) or not user.strip():
        raise ValueError("it names no user_id, so nobody knows whose it is")
    if not is_text(user):
        raise ValueError(f"its user_id is not text in UTF-8: {one_line(user, 60)}")
    if not isinstance(listed, list):
        raise ValueError("its entries are no list")
    entries: list[Entry] = []
    for number, given in enumerate(cast("list[Any]", listed), start=1):
        where = f"{one_line(path.name)}, entry {number}"
        entry = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        text, stamp = entry.get("content"), entry.get("timestamp")
        if not isinstance(text, str):
            problems.append(f"{where}: it has no text as content")
            continue
        at = _time(stamp)
        if at is None:
            problems.append(f"{where}: its timestamp {one_line(str(stamp), 40)!r} cannot be read; the present is used")
        entries.append(Entry(user.strip(), text, at, where))
    return entries


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is no file")
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ValueError("it is larger than 16 MiB")
        data = json.loads(raw)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    return cast("dict[str, Any]", data)


def _time(stamp: object) -> datetime | None:
    try:
        return datetime.strptime(str(stamp), _FORMAT).astimezone()  # Osprey writes local time
    except (ValueError, OverflowError, OSError):
        return None
