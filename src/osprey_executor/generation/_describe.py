"""The shape of data in words, for a prompt: names, types, shapes. Never values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

from osprey_executor.text import one_line

_MOST_KEYS = 40
_DEEPEST = 4
_MOST_LINES = 200


def describe(data: Mapping[str, Any]) -> str:
    """Return one line a name, indented by depth: `orbit: ndarray (120,) float64`."""
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
        out.append(f"{'  ' * depth}{one_line(str(name), 80)}: {kind(value)}")
        inner = _inner(value)
        if inner and depth < _DEEPEST:
            out += _lines(inner, depth + 1)
    return out


def kind(value: Any) -> str:
    """Return the type of a value, with shape and element type where it has them."""
    name = type(value).__name__
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


def _inner(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value)
    columns, dtypes = getattr(value, "columns", None), getattr(value, "dtypes", None)
    if columns is not None and dtypes is not None:
        return {str(name): _Named(str(of)) for name, of in zip(columns, dtypes, strict=False)}
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        return {"[0]": items[0]} if items and isinstance(items[0], Mapping) else {}
    # What an agent hands over is often a model or a dataclass: its fields are found by attribute.
    kind_of = cast("Any", type(value))
    fields = getattr(kind_of, "model_fields", None) or getattr(kind_of, "__dataclass_fields__", None)
    return {name: getattr(value, name, None) for name in cast("Mapping[str, Any]", fields)} if fields else {}


class _Named:
    """A column; it is shown as the type of its elements."""

    def __init__(self, name: str) -> None:
        self.shape = ()
        self.dtype = name
