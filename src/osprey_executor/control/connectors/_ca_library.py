"""libca by its C interface: the calls that we use, and the layout of what they hand over.

Sources: EPICS Base, modules/ca/src/client/cadef.h, caerr.h and db_access.h; modules/libcom/src/misc/epicsTypes.h.
The library itself comes with the package epicscorelibs.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

NORMAL, DISCONNECTED, PUT_FAILED, NO_WRITE_ACCESS = 1, 192, 160, 376
VALUE_OR_ALARM = 1 | 4
IS_UP = 6
STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = range(7)
STRING_BYTES = 40
_TIME, _CONTROL = 14, 28
_EPOCH = 631152000
"""1990-01-01 in seconds since 1970, where EPICS begins to count."""
_PREEMPTIVE = 1

DTYPES = {SHORT: "i2", FLOAT: "f4", CHAR: "u1", LONG: "i4", DOUBLE: "f8", ENUM: "enum", STRING: "string"}
_CODES = {SHORT: "h", FLOAT: "f", ENUM: "H", CHAR: "B", LONG: "i", DOUBLE: "d"}
_HEAD = struct.Struct("hhII")
_VALUE_AT = {STRING: 12, SHORT: 14, FLOAT: 12, ENUM: 14, CHAR: 15, LONG: 12, DOUBLE: 16}
_CONTROLLED_AT = {STRING: 4, SHORT: 28, FLOAT: 48, ENUM: 422, CHAR: 21, LONG: 44, DOUBLE: 80}
_SIZES = {STRING: STRING_BYTES, SHORT: 2, FLOAT: 4, ENUM: 2, CHAR: 1, LONG: 4, DOUBLE: 8}
_ONE = {kind: struct.Struct(f"{_VALUE_AT[kind]}x{code}") for kind, code in _CODES.items()}
_PUT = {kind: struct.Struct(code) for kind, code in _CODES.items()}
_LABELS_AT, _LABEL_BYTES, _UNITS_BYTES = 6, 26, 8

# alarm.h, epicsAlarmCondition.
_STATUSES: tuple[str, ...] = (
    *("", "READ", "WRITE", "HIHI", "HIGH", "LOLO", "LOW", "STATE", "COS", "COMM", "TIMEOUT", "HWLIMIT", "CALC", "SCAN"),
    *("LINK", "SOFT", "BAD_SUB", "UDF", "DISABLE", "SIMM", "READ_ACCESS", "WRITE_ACCESS"),
)


class _Event(ctypes.Structure):
    _fields_ = (
        ("usr", ctypes.c_size_t),
        ("chid", ctypes.c_void_p),
        ("type", ctypes.c_long),
        ("count", ctypes.c_long),
        ("dbr", ctypes.c_void_p),
        ("status", ctypes.c_int),
    )


class _Connection(ctypes.Structure):
    _fields_ = (("chid", ctypes.c_void_p), ("op", ctypes.c_long))


class CaError(Exception):
    """libca refused a call; nothing was sent."""


class Library:
    """One context of libca, with calls that come back in threads of its own.

    Args:
        on_event: gets `usr`, the status, the number of elements, and the raw bytes of each answer.
        on_connection: gets `usr` and id of a channel, and whether it is connected now.

    Raises:
        ModuleNotFoundError: epicscorelibs is not installed.
    """

    def __init__(
        self, on_event: Callable[[int, int, int, bytes], None], on_connection: Callable[[int, int, bool], None]
    ) -> None:
        path: Any = import_module("epicscorelibs.path")
        self._ca = ctypes.CDLL(path.get_lib("ca"))
        declared: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "ca_puser": (ctypes.c_size_t, (ctypes.c_void_p,)),
            "ca_message": (ctypes.c_char_p, (ctypes.c_long,)),
            "ca_current_context": (ctypes.c_void_p, ()),
            "ca_attach_context": (ctypes.c_int, (ctypes.c_void_p,)),
            "ca_field_type": (ctypes.c_short, (ctypes.c_void_p,)),
            "ca_element_count": (ctypes.c_ulong, (ctypes.c_void_p,)),
            "ca_read_access": (ctypes.c_uint, (ctypes.c_void_p,)),
            "ca_write_access": (ctypes.c_uint, (ctypes.c_void_p,)),
            "ca_clear_channel": (ctypes.c_int, (ctypes.c_void_p,)),
            "ca_clear_subscription": (ctypes.c_int, (ctypes.c_void_p,)),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(self._ca, name)
            function.restype, function.argtypes = result, arguments
        chid, number, usr = ctypes.c_void_p, ctypes.c_long, ctypes.c_size_t
        event = self._event = ctypes.CFUNCTYPE(None, _Event)(self._told)
        self._ca.ca_array_get_callback.argtypes = (number, number, chid, type(event), usr)
        self._ca.ca_array_put_callback.argtypes = (number, number, chid, ctypes.c_char_p, type(event), usr)
        self._ca.ca_create_subscription.argtypes = (
            *(number, number, chid, number, type(event), usr),
            ctypes.POINTER(ctypes.c_void_p),
        )
        self._connection = ctypes.CFUNCTYPE(None, _Connection)(self._connected)
        self._ca.ca_create_channel.argtypes = (
            *(ctypes.c_char_p, type(self._connection), usr, ctypes.c_uint),
            ctypes.POINTER(ctypes.c_void_p),
        )
        self._on_event, self._on_connection = on_event, on_connection
        self._check(self._ca.ca_context_create(_PREEMPTIVE))
        self._context = self._ca.ca_current_context()

    def attach(self) -> None:
        """Make this thread one that may call libca; not for the thread that made the context."""
        self._check(self._ca.ca_attach_context(self._context))

    def create(self, name: str, usr: int) -> int:
        """Begin to search for a channel and return its id."""
        chid = ctypes.c_void_p()
        self._check(self._ca.ca_create_channel(name.encode(), self._connection, usr, 0, ctypes.byref(chid)))
        return int(chid.value or 0)

    def clear(self, chid: int) -> None:
        """Search for a channel no more."""
        self._ca.ca_clear_channel(chid)

    def describe(self, chid: int) -> tuple[int, int, bool, bool]:
        """Return type, number of elements, and whether it can be read and written from here."""
        call = self._ca
        kind, count = call.ca_field_type(chid), call.ca_element_count(chid)
        return kind, count, bool(call.ca_read_access(chid)), bool(call.ca_write_access(chid))

    def get(self, chid: int, kind: int, usr: int, *, elements: int = 1, control: bool = False) -> None:
        """Ask for the value with its time, or for the labels, units and limits of a channel. 0 elements: all of them.

        Raises:
            CaError: libca says no; there will be no answer.
        """
        self._check(
            self._ca.ca_array_get_callback(kind + (_CONTROL if control else _TIME), elements, chid, self._event, usr)
        )

    def put(self, chid: int, kind: int, count: int, data: bytes, usr: int) -> None:
        """Write, with an answer when the record has been processed.

        Raises:
            CaError: libca says no; nothing was sent.
        """
        self._check(self._ca.ca_array_put_callback(kind, count, chid, data, self._event, usr))

    def subscribe(self, chid: int, kind: int, usr: int, elements: int) -> int:
        """Ask for the value with its time now and at each change; return the subscription."""
        made = ctypes.c_void_p()
        self._check(
            self._ca.ca_create_subscription(
                *(kind + _TIME, elements, chid, VALUE_OR_ALARM, self._event, usr), ctypes.byref(made)
            )
        )
        return int(made.value or 0)

    def unsubscribe(self, subscription: int) -> None:
        """End a subscription."""
        self._ca.ca_clear_subscription(subscription)

    def flush(self) -> None:
        """Send what was asked for."""
        self._ca.ca_flush_io()

    def message(self, status: int) -> str:
        """Return libca's words for a status."""
        return str(self._ca.ca_message(status).decode(errors="replace"))

    def _told(self, event: _Event) -> None:
        raw = b""
        if event.status == NORMAL and event.dbr:
            kind = event.type % _TIME
            size = _SIZES[kind] * max(event.count, 1)
            size += (_VALUE_AT if event.type < _CONTROL else _CONTROLLED_AT)[kind]
            raw = ctypes.string_at(event.dbr, size)
        self._on_event(event.usr, event.status, event.count, raw)

    def _connected(self, connection: _Connection) -> None:
        self._on_connection(self._ca.ca_puser(connection.chid), connection.chid, connection.op == IS_UP)

    def _check(self, status: int) -> None:
        if status != NORMAL:
            raise CaError(self.message(status))


def timed(kind: int, count: int, raw: bytes) -> tuple[Any, int, str, float]:
    """Return the value of a DBR_TIME structure, its severity, its status, and its time in seconds since 1970.

    One element is a number or a text; another count is an array of numbers, or a list of texts.
    """
    status, severity, seconds, nanoseconds = cast(tuple[int, int, int, int], _HEAD.unpack_from(raw))
    word = _STATUSES[status] if 0 <= status < len(_STATUSES) else str(status)
    value: Any
    if kind == STRING:
        texts = [_text(raw, 12 + at * STRING_BYTES, STRING_BYTES) for at in range(count)]
        value = texts[0] if count == 1 else texts
    elif count == 1:
        (value,) = _ONE[kind].unpack_from(raw)
    else:
        from numpy import frombuffer

        value = frombuffer(raw, _CODES[kind], count, _VALUE_AT[kind])
    return value, min(max(severity, 0), 3), word, _EPOCH + seconds + nanoseconds * 1e-9


def controlled(kind: int, raw: bytes) -> dict[str, Any]:
    """Return what a DBR_CTRL structure tells: units, labels, precision and limits."""
    plain: dict[str, Any] = {"units": "", "labels": [], "control_limits": None}
    if kind == STRING:
        return plain
    if kind == ENUM:
        (number,) = struct.unpack_from("h", raw, 4)
        labels = [_text(raw, _LABELS_AT + at * _LABEL_BYTES, _LABEL_BYTES) for at in range(min(max(number, 0), 16))]
        return {**plain, "labels": labels}
    units_at = 8 if kind in (FLOAT, DOUBLE) else 4
    high, low, hihi, upper, lower, lolo, highest, lowest = map(
        float, struct.unpack_from("8" + _CODES[kind], raw, units_at + _UNITS_BYTES)
    )
    return {
        "units": _text(raw, units_at, _UNITS_BYTES),
        "labels": [],
        "precision": struct.unpack_from("h", raw, 4)[0] if kind in (FLOAT, DOUBLE) else None,
        "display_limits": (low, high),
        "low_alarms": (lolo, lower),
        "high_alarms": (upper, hihi),
        "control_limits": (lowest, highest),
    }


def packed(kind: int, value: Any) -> tuple[int, int, bytes]:
    """Return type, number of elements, and bytes of a value to write; text goes as text, whatever the channel is.

    Raises:
        ValueError: it does not fit the type of the channel.
    """
    if isinstance(value, str):
        raw = value.encode()
        if kind == CHAR:
            return CHAR, len(raw) + 1, raw + b"\0"
        if len(raw) >= STRING_BYTES:
            raise ValueError(f"a text longer than {STRING_BYTES - 1} bytes")
        return STRING, 1, raw.ljust(STRING_BYTES, b"\0")
    if kind == STRING:
        raise ValueError("a number where the channel holds a text")
    if hasattr(value, "dtype"):
        return kind, int(value.size), bytes(value.astype(_CODES[kind]).tobytes())
    try:
        return kind, 1, _PUT[kind].pack(value)
    except struct.error as error:
        raise ValueError(f"{value!r:.60} does not fit the channel: {error}") from None


def _text(raw: bytes, start: int, length: int) -> str:
    return raw[start : start + length].split(b"\0", 1)[0].decode("utf-8", "replace")
