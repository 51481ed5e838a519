"""How plain values are encoded: numbers, text, bytes, moments, paths. A subclass is read through its base."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, Callable, Dict, Tuple

from .zones import zone_name

if TYPE_CHECKING:
    from .encoding import Encoder

Method = Callable[["Encoder", Any], Any]

BRACKET = 28
"""What a list or an object costs of the document: the host counts their brackets, and lets 300 000 pass in 8 MiB."""
SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT_INT = 2**53
_LONG_TEXT = 1 << 16
_SHORT_BYTES = 1 << 10
_PARTS_OF_TIMEDELTA: Dict[str, Callable[[Any], int]] = {
    name: vars(timedelta)[name].__get__ for name in ("days", "seconds", "microseconds")
}


def _constant(encoder: Encoder, value: Any) -> Any:
    encoder.spend(6)
    return value


def _int(encoder: Encoder, value: Any) -> Any:
    number = int.__int__(value)
    if -_EXACT_INT <= number <= _EXACT_INT:
        encoder.spend(18)
        return number
    text = hex(number)
    encoder.spend(len(text))
    return encoder.tagged("int", value=text)


def _float(encoder: Encoder, value: Any) -> Any:
    number = float.__float__(value)
    if isfinite(number):
        encoder.spend(26)
        return number
    return encoder.tagged("float", value="nan" if number != number else "inf" if number > 0 else "-inf")


def _str(encoder: Encoder, value: Any) -> Any:
    text = str.__str__(value)
    if len(text) > _LONG_TEXT or SURROGATE.search(text):
        return encoder.tagged("str", blob=encoder.blob(text.encode("utf-8", "surrogatepass")))
    encoder.spend(text_size(text))
    return text


def text_size(text: str) -> int:
    """Return what a text costs of the document, never too little."""
    escaped = 12 if not text.isascii() else 1 if text.isprintable() else 6
    brackets = text.count("[") + text.count("{")
    return escaped * len(text) + text.count("\\") + text.count('"') + BRACKET * brackets + 4


def _bytes(encoder: Encoder, value: Any) -> Any:
    data = bytes(memoryview(value))
    if len(data) > _SHORT_BYTES:
        return encoder.tagged("bytes", blob=encoder.blob(data))
    encoder.spend(2 * len(data))
    return encoder.tagged("bytes", hex=data.hex())


def _complex(encoder: Encoder, value: Any) -> Any:
    number = complex.__add__(value, 0j) if type(value) is not complex else value
    return encoder.tagged("complex", real=_float(encoder, number.real), imag=_float(encoder, number.imag))


def _datetime(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged(
        "datetime", value=datetime.isoformat(value), zone=zone_name(value.tzinfo), fold=int(value.fold)
    )


def _date(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("date", value=date.isoformat(value))


def _time(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("time", value=time.isoformat(value), zone=zone_name(value.tzinfo), fold=int(value.fold))


def _timedelta(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("timedelta", **{name: read(value) for name, read in _PARTS_OF_TIMEDELTA.items()})


def _path(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged("Path", value=_str(encoder, str(value)))


def _decimal(encoder: Encoder, value: Any) -> Any:
    text = str.__str__(str(value))
    encoder.spend(len(text))
    return encoder.tagged("Decimal", value=text)


def _fraction(encoder: Encoder, value: Any) -> Any:
    return encoder.tagged(
        "Fraction", numerator=_int(encoder, value.numerator), denominator=_int(encoder, value.denominator)
    )


def encode_range(encoder: Encoder, value: Any) -> Any:
    """Return the document of a range, however long."""
    start, stop, step = (_int(encoder, bound) for bound in (value.start, value.stop, value.step))
    return encoder.tagged("range", start=start, stop=stop, step=step)


LEAVES: Dict[type, Method] = {
    type(None): _constant,
    bool: _constant,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    bytearray: _bytes,
    complex: _complex,
}
MOMENTS: Dict[type, Method] = {
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
}
# Of modules that cost time to import; a value of theirs exists only where the program has imported them.
LATE: Dict[str, Tuple[str, Method]] = {
    "decimal": ("Decimal", _decimal),
    "fractions": ("Fraction", _fraction),
    "pathlib": ("PurePath", _path),
}
