"""Values on their way into a sandbox or a record: a JSON document plus blobs, in the format that `decoder` reads.

The values are the user's own (context) or decoded results, so what cannot be encoded is an error, not a note.
"""

from __future__ import annotations

import dataclasses
import math
import re
from array import array
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, cast

from pydantic import BaseModel

from osprey_executor.errors import ResultsError
from osprey_executor.results._claims import ArrayClaim, FrameClaim, OpaqueClaim
from osprey_executor.results._encode_science import encode_science
from osprey_executor.results._zones import zone_name

_EXACT_INT = 2**53
_DEEPEST = 60
_BULK = 64
_LONG_TEXT = 2**16
"""Characters beyond which text is a blob: outside ASCII one takes six bytes or more of a document."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Any) -> tuple[Any, list[bytes]]:
    """Return the document (strict JSON values) and the blobs of `value`.

    Dataclasses and pydantic models become dicts, enum members their values.

    Raises:
        ResultsError: something in it is not data, contains itself, or is nested too deep; the message says where.
    """
    encoder = Encoder()
    document = encoder.value(value, "value")
    return document, encoder.blobs


class Encoder:
    """One encoding under way."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self._open: list[int] = []

    def value(self, value: Any, where: str) -> Any:
        """Return the document of `value`, found at `where`."""
        if value is None or isinstance(value, bool):
            return value
        document = encode_science(self, value, where)
        if document is not None:
            return document
        for kind, method in _METHODS.items():
            if isinstance(value, kind):
                return self._held(method, value, where)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self._held(_mapping, fields, where)
        raise ResultsError(
            f"{where} is a {type(value).__name__}, which is not data: "
            "give numbers, text, lists, dicts, arrays or tables"
        )

    def blob(self, data: bytes) -> int:
        """Keep bytes and return their number."""
        self.blobs.append(data)
        return len(self.blobs) - 1

    def items(self, values: Iterable[Any], where: str) -> list[Any]:
        """Return the documents of several values."""
        return [self.value(value, f"{where}[{at}]") for at, value in enumerate(values)]

    def _held(self, method: _Method, value: Any, where: str) -> Any:
        if id(value) in self._open:
            raise ResultsError(f"{where} contains itself")
        if len(self._open) >= _DEEPEST:
            raise ResultsError(f"{where[:200]}... is nested more than {_DEEPEST} deep")
        self._open.append(id(value))
        try:
            return method(self, value, where)
        finally:
            self._open.pop()


_Method = Callable[[Encoder, Any, str], Any]


def _int(encoder: Encoder, value: int, where: str) -> Any:
    number = int(value)
    return number if -_EXACT_INT <= number <= _EXACT_INT else {"$type": "int", "value": hex(number)}


def _float(encoder: Encoder, value: float, where: str) -> Any:
    number = float(value)
    return number if math.isfinite(number) else {"$type": "float", "value": str(number)}


def _str(encoder: Encoder, value: str, where: str) -> Any:
    text = str.__str__(value)
    if len(text) <= _LONG_TEXT and (text.isascii() or not _SURROGATE.search(text)):
        return text
    return {"$type": "str", "blob": encoder.blob(text.encode("utf-8", "surrogatepass"))}


def _bytes(encoder: Encoder, value: bytes | bytearray | memoryview, where: str) -> Any:
    return {"$type": "bytes", "blob": encoder.blob(bytes(value))}


def _complex(encoder: Encoder, value: complex, where: str) -> Any:
    return {"$type": "complex", "real": _float(encoder, value.real, where), "imag": _float(encoder, value.imag, where)}


def _datetime(encoder: Encoder, value: datetime, where: str) -> Any:
    return {"$type": "datetime", "value": value.isoformat(), "zone": zone_name(value.tzinfo), "fold": value.fold}


def _date(encoder: Encoder, value: date, where: str) -> Any:
    return {"$type": "date", "value": value.isoformat()}


def _time(encoder: Encoder, value: time, where: str) -> Any:
    return {"$type": "time", "value": value.isoformat(), "zone": zone_name(value.tzinfo), "fold": value.fold}


def _timedelta(encoder: Encoder, value: timedelta, where: str) -> Any:
    return {"$type": "timedelta", "days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}


def _path(encoder: Encoder, value: PurePath, where: str) -> Any:
    return {"$type": "Path", "value": _str(encoder, value.as_posix(), where)}


def _fraction(encoder: Encoder, value: Fraction, where: str) -> Any:
    numerator, denominator = _int(encoder, value.numerator, where), _int(encoder, value.denominator, where)
    return {"$type": "Fraction", "numerator": numerator, "denominator": denominator}


def _range(encoder: Encoder, value: range, where: str) -> Any:
    start, stop, step = (_int(encoder, bound, where) for bound in (value.start, value.stop, value.step))
    return {"$type": "range", "start": start, "stop": stop, "step": step}


def _list(encoder: Encoder, value: list[Any], where: str) -> Any:
    if len(value) >= _BULK and all(type(item) is float for item in value):
        numbers = array("d", value)
        return {"$type": "floats", "blob": encoder.blob(numbers.tobytes())}
    return encoder.items(value, where)


def _mapping(encoder: Encoder, value: Mapping[Any, Any], where: str) -> Any:
    if all(isinstance(key, str) and _is_plain_key(key) for key in value):
        return {str(key): encoder.value(item, f"{where}[{key!r}]") for key, item in value.items()}
    pairs = [
        [encoder.value(key, f"{where}: a key"), encoder.value(item, f"{where}[{key!r:.80}]")]
        for key, item in value.items()
    ]
    return {"$type": "dict", "items": pairs}


def _is_plain_key(key: str) -> bool:
    return not key.startswith("$") and (key.isascii() or key.encode("utf-8", "replace").decode() == key)


def _collection(kind: str) -> _Method:
    return lambda encoder, value, where: {"$type": kind, "items": encoder.items(value, where)}


def _array_claim(encoder: Encoder, value: ArrayClaim, where: str) -> Any:
    if value.npy is not None:
        return {"$type": "ndarray", "blob": encoder.blob(value.npy)}
    return {"$type": "objects", "shape": list(value.shape), "items": encoder.items(value.items, where)}


def _frame_claim(encoder: Encoder, value: FrameClaim, where: str) -> Any:
    parts = {key: encoder.value(part, f"{where}.{key}") for key, part in value.parts.items()}
    return {"$type": value.kind, **parts}


_METHODS: dict[type, _Method] = {
    Enum: lambda encoder, value, where: encoder.value(value.value, where),
    BaseModel: lambda encoder, value, where: _mapping(encoder, cast(BaseModel, value).model_dump(), where),
    OpaqueClaim: lambda encoder, value, where: {"$type": "repr", "class": value.kind, "text": value.text},
    ArrayClaim: _array_claim,
    FrameClaim: _frame_claim,
    int: _int,
    float: _float,
    str: _str,
    list: _list,
    Mapping: _mapping,
    tuple: _collection("tuple"),
    set: _collection("set"),
    frozenset: _collection("frozenset"),
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    complex: _complex,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    range: _range,
    PurePath: _path,
    Decimal: lambda encoder, value, where: {"$type": "Decimal", "value": str(value)},
    Fraction: _fraction,
}
