"""What a run has read, kept small: a program may read for hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast, overload

from osprey_executor.models import AlarmSeverity, Reading

_MOST_READINGS = 500_000
_MOST_BYTES = 64 * 2**20


class _Row(NamedTuple):
    channel: str
    value: Any
    units: str
    severity: AlarmSeverity
    timestamp: datetime | None


class ReadLog(Sequence[Reading]):
    """The readings of a run in order, up to half a million or 64 MB of arrays; those after that are only counted."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._bytes = 0
        self.dropped = 0
        """Readings that were answered but not kept."""

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep the readings, as long as there is room."""
        for reading in readings:
            size = _size(reading.value)
            if len(self._rows) >= _MOST_READINGS or self._bytes + size > _MOST_BYTES:
                self.dropped += 1
                continue
            self._bytes += size
            self._rows.append(_Row(reading.channel, reading.value, reading.units, reading.severity, reading.timestamp))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reading]: ...
    def __getitem__(self, index: int | slice) -> Reading | Sequence[Reading]:
        if isinstance(index, slice):
            return [_reading(row) for row in self._rows[index]]
        return _reading(self._rows[index])


def _size(value: Any) -> int:
    if isinstance(value, dict):  # a table
        return sum(map(_size, cast("dict[str, Any]", value).values()))
    return int(getattr(value, "nbytes", 0))


def _reading(row: _Row) -> Reading:
    return Reading.model_construct(**row._asdict())
