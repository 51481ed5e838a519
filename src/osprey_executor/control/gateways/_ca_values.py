"""Samples as payloads of Channel Access, and payloads of writes as values.

Source of the layouts: EPICS Base, modules/ca/src/client/db_access.h; all numbers on the wire are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from osprey_executor.control.connectors._protocol import ChannelKind, Sample

STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = range(7)
_NATIVES = 7
_PLAIN, _STATUS, _TIME, _GRAPHIC, _CONTROL = range(5)
STRING_BYTES = 40
_LABEL_BYTES, _MOST_LABELS, _UNITS_BYTES = 26, 16, 8
_EPOCH = 631152000
"""1990-01-01 in seconds since 1970."""
_MOST_SECONDS = 2**32 - 1
_DTYPES = {SHORT: ">i2", FLOAT: ">f4", ENUM: ">u2", CHAR: "u1", LONG: ">i4", DOUBLE: ">f8"}
_CODES = {SHORT: "h", FLOAT: "f", CHAR: "B", LONG: "i", DOUBLE: "d"}
_SIZES = {STRING: STRING_BYTES, SHORT: 2, FLOAT: 4, ENUM: 2, CHAR: 1, LONG: 4, DOUBLE: 8}
_PADS = {
    _STATUS: {CHAR: 1, DOUBLE: 4},
    _TIME: {SHORT: 2, ENUM: 2, CHAR: 3, DOUBLE: 4},
    _GRAPHIC: {CHAR: 1},
    _CONTROL: {CHAR: 1},
}
"""Bytes between what describes a value and the value."""
_NATIVE = {
    **{"f8": DOUBLE, "f4": FLOAT, "i4": LONG, "i2": SHORT, "u1": CHAR, "enum": ENUM, "?": ENUM, "string": STRING},
    # What Channel Access lacks becomes the next larger type.
    **{"i1": SHORT, "u2": LONG, "u4": DOUBLE, "i8": DOUBLE, "u8": DOUBLE},
}
_STATUSES = (
    *("", "READ", "WRITE", "HIHI", "HIGH", "LOLO", "LOW", "STATE", "COS", "COMM", "TIMEOUT", "HWLIMIT", "CALC", "SCAN"),
    *("LINK", "SOFT", "BAD_SUB", "UDF", "DISABLE", "SIMM", "READ_ACCESS", "WRITE_ACCESS"),
)
_UNDEFINED = _STATUSES.index("UDF")


class Unservable(ValueError):
    """What cannot be said in Channel Access; the message says why."""


def native(sample: Sample) -> tuple[int, int]:
    """Return the type and the number of elements by which a channel is announced.

    Raises:
        Unservable: it holds a table.
    """
    if sample.kind is ChannelKind.TABLE or sample.dtype not in _NATIVE:
        raise Unservable(f"a {sample.kind} of {sample.dtype} cannot be read by Channel Access: use PVAccess")
    return _NATIVE[sample.dtype], max(sample.count, 1)


def readable(kind: int) -> bool:
    """Return whether a type is one of those in which values are read."""
    return 0 <= kind < 5 * _NATIVES


def payload(sample: Sample, kind: int, count: int) -> tuple[int, bytes, bytes]:
    """Return the number of elements, what describes the value, and the elements.

    Args:
        sample: of the channel.
        kind: DBR type that is asked for, one that is `readable`.
        count: of elements; 0: as many as there are.

    Raises:
        Unservable: the value has no form of that type.
    """
    form, plain = divmod(kind, _NATIVES)
    elements = _elements(sample, plain)
    room = count or max(len(elements) // _SIZES[plain], 0)
    return room, _description(sample, form, plain), elements[: room * _SIZES[plain]].ljust(room * _SIZES[plain], b"\0")


def nothing(kind: int, count: int) -> tuple[bytes, bytes]:
    """Return description and elements of an answer whose status says that there is no value."""
    form, plain = divmod(kind, _NATIVES)
    return b"\0" * len(_description(_NO_SAMPLE, form, plain)), b"\0" * (max(count, 1) * _SIZES[plain])


def written(kind: int, count: int, raw: bytes) -> Any:
    """Return what a client wants to write: a number, a text, an array, or a list of texts.

    Raises:
        Unservable: that is no value.
    """
    if not 0 <= kind < _NATIVES:
        raise Unservable(f"a write of DBR type {kind}")
    if kind == STRING and count == 1 and raw:
        return _text(raw[:STRING_BYTES])  # libca sends of a single text what there is of it, and no more
    if count < 1 or count * _SIZES[kind] > len(raw):
        raise Unservable(f"a write of {count} elements in {len(raw)} bytes")
    if kind == STRING:
        return [_text(raw[at : at + STRING_BYTES]) for at in range(0, count * STRING_BYTES, STRING_BYTES)]
    values = np.frombuffer(raw, _DTYPES[kind], count)
    return values[0].item() if count == 1 else values.astype(values.dtype.newbyteorder("="))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _elements(sample: Sample, plain: int) -> bytes:
    value = sample.value
    if plain == STRING:
        return b"".join(_string(text) for text in _texts(value, sample))
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, str):
        value = _number_of(value, sample, plain)
    elif isinstance(value, list):
        raise Unservable("texts where numbers are asked for")
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(_DTYPES[plain], casting="unsafe").tobytes()


def _number_of(value: str, sample: Sample, plain: int) -> Any:
    if sample.kind is ChannelKind.ENUM and value in sample.labels:
        return sample.labels.index(value)
    if plain == CHAR:
        return np.frombuffer(value.encode() + b"\0", "u1")
    raise Unservable("a text where numbers are asked for")


def _texts(value: Any, sample: Sample) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return cast("list[str]", value)
    if hasattr(value, "tolist"):
        return [_shown(number, sample) for number in value.tolist()]
    return [_shown(value, sample)]


def _shown(number: Any, sample: Sample) -> str:
    if isinstance(number, float) and sample.precision is not None:
        return f"{number:.{sample.precision}f}"
    return f"{number:g}" if isinstance(number, float) else str(number)


def _string(text: str) -> bytes:
    return text.encode("utf-8", "replace")[: STRING_BYTES - 1].ljust(STRING_BYTES, b"\0")


def _description(sample: Sample, form: int, plain: int) -> bytes:
    if form == _PLAIN:
        return b""
    head = struct.pack(">hh", _status(sample), int(sample.severity))
    if form == _TIME:
        head += struct.pack(">II", *_time(sample))
    elif form in (_GRAPHIC, _CONTROL) and plain == ENUM:
        labels = sample.labels[:_MOST_LABELS]
        packed = b"".join(_fixed(label, _LABEL_BYTES) for label in labels)
        head += struct.pack(">h", len(labels)) + packed.ljust(_LABEL_BYTES * _MOST_LABELS, b"\0")
    elif form in (_GRAPHIC, _CONTROL) and plain != STRING:
        if plain in (FLOAT, DOUBLE):
            head += struct.pack(">hh", sample.precision or 0, 0)
        limits = _limits(sample, plain)[: 6 if form == _GRAPHIC else 8]
        head += _fixed(sample.units, _UNITS_BYTES) + struct.pack(f">{len(limits)}{_CODES[plain]}", *limits)
    return head + b"\0" * _PADS[form].get(plain, 0)


def _limits(sample: Sample, plain: int) -> Sequence[float]:
    """Return them in the order of `dbr_ctrl_double`: display, alarm and warning, control; unset ones are 0."""
    low, high = sample.display_limits or (0.0, 0.0)
    lolo, lower = sample.low_alarms or (0.0, 0.0)
    upper, hihi = sample.high_alarms or (0.0, 0.0)
    lowest, highest = sample.control_limits or (0.0, 0.0)
    limits = (high, low, hihi, upper, lower, lolo, highest, lowest)
    if plain in (FLOAT, DOUBLE):
        with np.errstate(all="ignore"):
            return np.array(limits, _DTYPES[plain]).tolist()
    least, most = np.iinfo(_DTYPES[plain]).min, np.iinfo(_DTYPES[plain]).max
    return [int(np.clip(np.nan_to_num(limit), least, most)) for limit in limits]


def _fixed(text: str, size: int) -> bytes:
    return text.encode("utf-8", "replace")[: size - 1].ljust(size, b"\0")


def _status(sample: Sample) -> int:
    if sample.status in _STATUSES:
        return _STATUSES.index(sample.status)
    return _UNDEFINED


def _time(sample: Sample) -> tuple[int, int]:
    if sample.timestamp is None:
        return 0, 0
    seconds, part = divmod(sample.timestamp.timestamp() - _EPOCH, 1)
    return min(max(int(seconds), 0), _MOST_SECONDS), min(int(part * 10**9), 10**9 - 1)


_NO_SAMPLE = Sample(channel="", value=0.0)
