"""Results as people read them: numbers, tables, and text. They are claims of the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from osprey_executor.interfaces.cli.summary import short
from osprey_executor.text import one_line

_MOST_VALUES: Final = 200
_MOST_ROWS: Final = 40
_MOST_COLUMNS: Final = 16
_MOST_TEXT: Final = 4000


@dataclass(frozen=True)
class Value:
    """One result. It has a table, or it is text."""

    name: str
    text: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    long: bool = False
    """Whether the text has lines of its own."""


def shown_values(results: Mapping[str, Any]) -> tuple[Value, ...]:
    """Return results in their order, each with as much of it as fits a page; all of it is in the files of the run."""
    return tuple(_value(one_line(str(name), 80), results[name]) for name in list(results)[:_MOST_VALUES])


def _value(name: str, value: Any) -> Value:
    try:
        if hasattr(value, "itertuples"):
            head = ("", *(one_line(str(column), 40) for column in list(value.columns)[: _MOST_COLUMNS - 1]))
            rows = [_cells(row) for row in value.head(_MOST_ROWS).itertuples()]
            return Value(name, short(value), head, tuple(rows))
        if len(getattr(value, "shape", ())) in (1, 2):
            rows = [_cells(row if value.ndim == 2 else (row,)) for row in value[:_MOST_ROWS].tolist()]
            return Value(name, short(value), (), tuple(rows))
        if isinstance(value, list | tuple | dict):
            text = json.dumps(cast(object, value), indent=1, ensure_ascii=False, default=short)
            return Value(name, text[:_MOST_TEXT] + ("\n…" if len(text) > _MOST_TEXT else ""), long=True)
        if isinstance(value, str) and ("\n" in value or len(value) > 120):
            return Value(name, value[:_MOST_TEXT] + ("…" if len(value) > _MOST_TEXT else ""), long=True)
    except Exception as error:  # the value is a claim of the code; it must not spoil the page
        kind = type(cast(object, value)).__name__
        return Value(name, f"{kind} that cannot be shown ({type(error).__name__})")
    return Value(name, short(value))


def _cells(row: Any) -> tuple[str, ...]:
    return tuple(f"{cell:.6g}" if isinstance(cell, float) else one_line(str(cell), 60) for cell in row[:_MOST_COLUMNS])
