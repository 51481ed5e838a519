"""Data in words, for a prompt: names, types, shapes, and a few values to show units and spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from typing import Any, cast

from osprey_executor.config import is_secret_name
from osprey_executor.text import one_line

_MOST_KEYS = 40
_DEEPEST = 4
_MOST_LINES = 200
_MOST_VALUES = 3
_LONGEST_TEXT = 40
_LONGEST_NAME = 80
_PLAIN = re.compile(rf"[\w:.\-\[\]{{}}<>()/]{{1,{_LONGEST_NAME}}}", re.ASCII)
_SINGLE = (str, int, float, complex, bool, datetime, date, timedelta, type(None))


def describe(data: Mapping[str, Any]) -> str:
    """Return one line a name, indented by depth: `orbit: ndarray (120,) float64, begins 0.12, -0.4, 0.03`.

    What stands under a name such as `api_key` or `token` is not shown.
    """
    lines = list(_lines(data, 0))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more lines"]
    return "\n".join(lines)


def _lines(data: Mapping[Any, Any], depth: int) -> list[str]:
    out: list[str] = []
    for count, (name, value) in enumerate(data.items()):
        if count == _MOST_KEYS:
            out.append(f"{'  ' * depth}... and {len(data) - _MOST_KEYS} more")
            break
        secret = is_secret_name(str(name))
        shown = ", a secret" if secret else values(value)
        out.append(f"{'  ' * depth}{_name(str(name))}: {kind(value)}{shown}")
        inner = _inner(value)
        if inner and not secret and depth < _DEEPEST:
            out += _lines(inner, depth + 1)
    return out


def _name(name: str) -> str:
    """Return a name as it is if it looks like one, of a channel or a variable; else quoted, as it may say anything."""
    return name if _PLAIN.fullmatch(name) else json.dumps(one_line(name, _LONGEST_NAME), ensure_ascii=False)


def kind(value: Any) -> str:
    """Return the type of a value, with shape and element type where it has them."""
    if isinstance(value, _Column):
        return f"column of {one_line(value.dtype, 60)}"
    name = one_line(type(value).__name__, 60)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple):
        of = f" {one_line(str(dtype), 60)}" if dtype is not None else ""
        return f"{name} {cast('tuple[Any, ...]', shape)}{of}"
    if isinstance(value, str | bytes):
        return f"{name} of length {len(value)}"
    if isinstance(value, Mapping):
        return f"{name} with {len(cast('Mapping[Any, Any]', value))} keys"
    if isinstance(value, Sequence | Set):
        items = list(cast("Sequence[Any]", value))
        kinds = sorted({type(item).__name__ for item in items[:1000]})
        return f"{name} of {len(items)}" + (f" ({', '.join(kinds[:4])})" if kinds else "")
    return name


def values(value: Any) -> str:
    """Return a single value, or the first few of many, as the end of a line; of other objects nothing."""
    if isinstance(value, _SINGLE):
        return f" = {_single(value)}"
    if isinstance(value, _Column):
        first: Any = value.first
    elif isinstance(value, list | tuple):
        first = cast("Sequence[Any]", value)[:_MOST_VALUES]
    elif type(value).__module__ == "numpy" and hasattr(value, "flat"):
        first = value.flat[:_MOST_VALUES] if value.size else ()
    elif type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "iloc") and not _has_columns(value):
        first = value.iloc[:_MOST_VALUES]
    else:
        return ""
    told = [_single(one) for one in first if isinstance(one, _SINGLE) or type(one).__module__ == "numpy"]
    return f", begins {', '.join(told)}" if told else ""


def _single(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(one_line(value, _LONGEST_TEXT), ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:.6g}"
    return one_line(str(value), _LONGEST_TEXT)


def _has_columns(value: Any) -> bool:
    return getattr(value, "columns", None) is not None and getattr(value, "dtypes", None) is not None


def _inner(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    if _has_columns(value):
        named = zip(value.columns, value.dtypes, strict=False)
        return {
            str(name): _Column(str(of), value.iloc[:_MOST_VALUES, number]) for number, (name, of) in enumerate(named)
        }
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        return {"[0]": items[0]} if items and isinstance(items[0], Mapping) else {}
    # What an agent hands over is often a model or a dataclass: its fields are found by attribute.
    kind_of = cast("Any", type(value))
    fields = getattr(kind_of, "model_fields", None) or getattr(kind_of, "__dataclass_fields__", None)
    return {name: getattr(value, name, None) for name in cast("Mapping[str, Any]", fields)} if fields else {}


class _Column:
    """A column; it is shown as the type of its elements, and the first of them."""

    def __init__(self, name: str, first: Any) -> None:
        self.dtype = name
        self.first = first
