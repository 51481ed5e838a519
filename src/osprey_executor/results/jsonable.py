"""Results as strict JSON for other programs: exact where it is small, a summary where it is large."""

from __future__ import annotations

import base64
import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, cast

from osprey_executor.results._claims import ArrayClaim, FrameClaim, OpaqueClaim
from osprey_executor.results._json_science import science_to_json

MOST_ITEMS = 1000
"""Elements of an array, cells of a table or bytes that are written out; beyond that they are summarised."""
_DEEPEST = 200
_MOST_BITS = 10_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(value: Any) -> Any:
    """Return `value` as what `json.dumps(..., allow_nan=False)` takes. Never raises.

    NaN and infinities become "NaN", "Infinity" and "-Infinity"; numpy scalars plain numbers; arrays nested lists, and
    tables columns of lists, up to 1000 elements; larger ones, and what JSON has no word for, objects with `$type`.
    """
    return _json(value, 0)


def _json(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if depth > _DEEPEST:
        return {"$type": "repr", "class": type(value).__name__, "text": "nested too deep"}

    def inner(item: Any) -> Any:
        return _json(item, depth + 1)

    try:
        document = science_to_json(value, inner, MOST_ITEMS)
        if document is not None:
            return document
        for kind, method in _METHODS.items():
            if isinstance(value, kind):
                return method(value, inner)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _mapping({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, inner)
        return _opaque(type(value).__name__, repr(value))
    except Exception as error:
        return _opaque(type(value).__name__, f"cannot be shown: {type(error).__name__}")


_Inner = Callable[[Any], Any]


def _text(value: str) -> str:
    text = str.__str__(value)
    # Only a lone surrogate needs it, and a text may be large.
    return text.encode("utf-8", "backslashreplace").decode() if _SURROGATE.search(text) else text


def _opaque(kind: str, text: str) -> dict[str, str]:
    return {"$type": "repr", "class": _text(kind)[:200], "text": _text(text)[:2000]}


def _int(value: int, inner: _Inner) -> Any:
    number = int(value)
    return number if number.bit_length() <= _MOST_BITS else {"$type": "int", "hex": hex(number)}


def _float(value: float, inner: _Inner) -> Any:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _complex(value: complex, inner: _Inner) -> Any:
    return {"$type": "complex", "real": _float(value.real, inner), "imag": _float(value.imag, inner)}


def _mapping(value: Mapping[Any, Any], inner: _Inner) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        name = plain = _text(key if isinstance(key, str) else str(key))
        again = 2
        while name in made:
            name, again = f"{plain} ({again})", again + 1
        made[name] = inner(item)
    return made


def _items(value: Iterable[Any], inner: _Inner) -> list[Any]:
    return [inner(item) for item in value]


def _bytes(value: bytes, inner: _Inner) -> Any:
    data = bytes(value)
    content = {"base64": base64.b64encode(data).decode()} if len(data) <= MOST_ITEMS else {}
    return {"$type": "bytes", "size": len(data), **content}


def _range(value: range, inner: _Inner) -> Any:
    if value[MOST_ITEMS:]:
        return {"$type": "range", "start": value.start, "stop": value.stop, "step": value.step}
    return list(value)


def _array_claim(value: ArrayClaim, inner: _Inner) -> Any:
    return {"$type": "ndarray", "dtype": _text(value.dtype), "shape": list(value.shape)}


def _frame_claim(value: FrameClaim, inner: _Inner) -> Any:
    return {"$type": value.kind, **{key: inner(part) for key, part in value.parts.items()}}


_METHODS: dict[type, Callable[[Any, _Inner], Any]] = {
    OpaqueClaim: lambda value, inner: _opaque(value.kind, value.text),
    ArrayClaim: _array_claim,
    FrameClaim: _frame_claim,
    Enum: lambda value, inner: inner(value.value),
    str: lambda value, inner: _text(value),
    int: _int,
    float: _float,
    complex: _complex,
    Mapping: _mapping,
    list: _items,
    tuple: _items,
    set: _items,
    frozenset: _items,
    range: _range,
    bytes: _bytes,
    bytearray: _bytes,
    datetime: lambda value, inner: value.isoformat(),
    date: lambda value, inner: value.isoformat(),
    time: lambda value, inner: value.isoformat(),
    timedelta: lambda value, inner: {"$type": "timedelta", "seconds": cast(timedelta, value).total_seconds()},
    PurePath: lambda value, inner: _text(value.as_posix()),
    Decimal: lambda value, inner: str(value),
    Fraction: lambda value, inner: (
        f"{value.numerator:#x}/{value.denominator:#x}"
        if value.denominator.bit_length() > _MOST_BITS or value.numerator.bit_length() > _MOST_BITS
        else str(value)
    ),
}
