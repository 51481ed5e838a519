"""The records of the trail, line by line as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from osprey_executor.audit._line import TRAIL, read_record
from osprey_executor.audit._verify import lines
from osprey_executor.errors import InvalidRequestError, StorageError


def exported(home: Path, since: str | None = None) -> Iterator[bytes]:
    """Yield the lines of a trail, each without its end.

    Args:
        home: the state folder.
        since: a number of a record, or a time in ISO 8601 (local where it names no zone); those before are left out.

    Raises:
        InvalidRequestError: `since` is neither.
        StorageError: the trail cannot be read.
    """
    number, moment = _since(since)
    try:
        for line in lines(home):
            record = read_record(line)
            if record is None or (_after(record.get("n"), number) and _later(record.get("at"), moment)):
                yield line
    except OSError as error:
        raise StorageError(f"the audit trail {home / TRAIL} cannot be read: {error.strerror or error}") from error


def _since(since: str | None) -> tuple[int, datetime | None]:
    if since is None or (since.isascii() and since.isdigit()):
        return int(since or 0), None
    try:
        return 0, datetime.fromisoformat(since).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            f"{since!r:.100} is neither the number of a record nor a time, such as 2026-11-23T15:12"
        ) from None


def _after(number: object, least: int) -> bool:
    return not isinstance(number, int) or number >= least


def _later(at: object, moment: datetime | None) -> bool:
    try:
        return moment is None or datetime.fromisoformat(str(at)) >= moment
    except (ValueError, TypeError):
        return True
