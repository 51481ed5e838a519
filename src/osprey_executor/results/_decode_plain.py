"""Values of the standard library from their parts, each part checked."""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import PurePosixPath
from struct import unpack_from
from typing import Any, TypeVar, cast

from osprey_executor.errors import ResultsError
from osprey_executor.results._claims import OpaqueClaim
from osprey_executor.results._npy import Blob
from osprey_executor.results._zones import zone_of

_T = TypeVar("_T")
_HEX_INT = re.compile("-?0x[0-9a-f]{1,1000000}")
_FLOATS = frozenset({"nan", "inf", "-inf"})
_MISSING = 0xFFFFFFFF
_MOST_FRACTION_BITS = 65_536
_DECIMAL_LENGTH = 100_000


class Parts:
    """The decoded fields of one tagged object. A getter raises ResultsError where its field is not what it must be."""

    def __init__(self, kind: str, fields: dict[str, Any]) -> None:
        self.kind = kind
        self.fields = fields
        self.blob: Blob | None = None

    def any(self, name: str) -> Any:
        """Return a field of any type."""
        if name not in self.fields:
            raise ResultsError(f"a {self.kind!r:.100} has no {name!r}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return a field that is a string."""
        return self._checked(name, str)

    def whole(self, name: str) -> int:
        """Return a field that is an integer."""
        return self._checked(name, int)

    def real(self, name: str) -> float:
        """Return a field that is a number."""
        value = self.any(name)
        if type(value) not in (int, float):
            raise ResultsError(f"the {name!r} of a {self.kind} is not a number")
        return float(value)

    def items(self, name: str) -> list[Any]:
        """Return a field that is a list."""
        return cast(list[Any], self._checked(name, list))

    def data(self) -> Blob:
        """Return the blob."""
        if self.blob is None:
            raise ResultsError(f"a {self.kind} has no blob")
        return self.blob

    def _checked(self, name: str, kind: type[_T]) -> _T:
        value = self.any(name)
        if type(value) is not kind:
            raise ResultsError(f"the {name!r} of a {self.kind} is not a {kind.__name__}")
        return value


def _int(parts: Parts) -> int:
    text = parts.text("value")
    if not _HEX_INT.fullmatch(text):
        raise ResultsError("a large integer is not written in hexadecimal")
    return int(text, 16)


def _float(parts: Parts) -> float:
    text = parts.text("value")
    if text not in _FLOATS:
        raise ResultsError(f"{text!r:.50} is neither nan nor infinite")
    return float(text)


def _str(parts: Parts) -> str:
    return bytes(parts.data()).decode("utf-8", "surrogatepass")


def _bytes(parts: Parts) -> bytes:
    return bytes.fromhex(parts.text("hex")) if parts.blob is None else bytes(parts.blob)


def _numbers(code: str) -> Callable[[Parts], list[Any]]:
    def build(parts: Parts) -> list[Any]:
        numbers = cast(Any, array(code))
        numbers.frombytes(parts.data())
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()

    return build


def _strings(parts: Parts) -> list[str | None]:
    data = memoryview(parts.data())
    (number,) = unpack_from("<Q", data)
    if 8 + 4 * number > len(data):
        raise ResultsError("a list of texts says that it holds more than it does")
    lengths = unpack_from(f"<{number}I", data, 8)
    at = 8 + 4 * number
    texts: list[str | None] = []
    for length in lengths:
        if length == _MISSING:
            texts.append(None)
            continue
        if at + length > len(data):
            raise ResultsError("a text in a list is longer than the list")
        texts.append(bytes(data[at : at + length]).decode("utf-8", "surrogatepass"))
        at += length
    return texts


def _datetime(parts: Parts) -> datetime:
    return _zoned(datetime.fromisoformat(parts.text("value")), parts)


def _time(parts: Parts) -> time:
    return _zoned(time.fromisoformat(parts.text("value")), parts)


_Moment = TypeVar("_Moment", datetime, time)


def _zoned(value: _Moment, parts: Parts) -> _Moment:
    zone = zone_of(parts.any("zone"))
    return value.replace(tzinfo=zone or value.tzinfo, fold=parts.whole("fold"))


def _timedelta(parts: Parts) -> timedelta:
    return timedelta(parts.whole("days"), parts.whole("seconds"), parts.whole("microseconds"))


def _decimal(parts: Parts) -> Decimal:
    text = parts.text("value")
    if len(text) > _DECIMAL_LENGTH:
        raise ResultsError("a Decimal is too long")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ResultsError(f"{text!r:.50} is not a Decimal") from None


def _fraction(parts: Parts) -> Fraction:
    numerator, denominator = parts.whole("numerator"), parts.whole("denominator")
    if max(numerator.bit_length(), denominator.bit_length()) > _MOST_FRACTION_BITS:
        raise ResultsError("a Fraction is too long")
    return Fraction(numerator, denominator)


def _opaque(parts: Parts) -> OpaqueClaim:
    return OpaqueClaim(parts.text("class")[:200], parts.text("text")[:2000])


PLAIN: dict[str, Callable[[Parts], Any]] = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bytes": _bytes,
    "floats": _numbers("d"),
    "ints": _numbers("q"),
    "strings": _strings,
    "tuple": lambda parts: tuple(parts.items("items")),
    "range": lambda parts: range(parts.whole("start"), parts.whole("stop"), parts.whole("step")),
    "complex": lambda parts: complex(parts.real("real"), parts.real("imag")),
    "datetime": _datetime,
    "date": lambda parts: date.fromisoformat(parts.text("value")),
    "time": _time,
    "timedelta": _timedelta,
    "Path": lambda parts: PurePosixPath(parts.text("value")),
    "Decimal": _decimal,
    "Fraction": _fraction,
    "Enum": lambda parts: parts.any("value"),
    "repr": _opaque,
}
