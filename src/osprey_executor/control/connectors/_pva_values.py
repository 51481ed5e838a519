"""Structures of PVAccess as samples and answers, and back. What is no normative type that we know is refused.

Source: EPICS Normative Types Specification, https://docs.epics-controls.org/en/latest/pv-access/Normative-Types-Specification.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from osprey_executor.control.connectors._worker import Answer

_LARGEST_ARRAY = 64 * 2**20
_NORMATIVE = re.compile(r"epics:nt/(NT\w+):")
_DTYPES = {
    **{"b": "i1", "B": "u1", "h": "i2", "H": "u2", "i": "i4", "I": "u4", "l": "i8", "L": "u8", "f": "f4", "d": "f8"},
    **{"?": "?", "s": "string"},
}
_ARGUMENTS = ((bool, "?"), (int, "l"), (float, "d"), (str, "s"))
# epicsPVData, alarm_t.
_STATUSES = ("", "DEVICE", "DRIVER", "RECORD", "DB", "CONF", "UNDEFINED", "CLIENT")


class Unreadable(ValueError):
    """A structure that is not taken; the message says why."""


def described(structure: Any) -> Answer:
    """Return what a sample needs of a structure.

    Raises:
        Unreadable: it is an image, too large, or of no type that we know.
    """
    kind = normative(structure)
    alarm, stamp = structure.get("alarm"), structure.get("timeStamp")
    display, control = structure.get("display"), structure.get("control")
    seconds = stamp.secondsPastEpoch + stamp.nanoseconds * 1e-9 if stamp else 0.0
    return {
        **_value(kind, structure),
        "units": str(display.get("units", "")) if display else "",
        "control_limits": [float(control.limitLow), float(control.limitHigh)] if control else None,
        "severity": min(max(int(alarm.severity), 0), 3) if alarm else 0,
        "status": _status(alarm) if alarm else "",
        "time": seconds or None,
        "writable": True,
    }


def normative(structure: Any) -> str:
    """Return `NTScalar` and the like; empty for a structure of another kind."""
    found = _NORMATIVE.match(structure.getID())
    return found[1] if found else ""


def answered(structure: Any) -> Any:
    """Return the answer of a command as plain data: a value, a dict of columns, or nested dicts."""
    if structure is None:
        return None
    kind = normative(structure)
    if kind == "NTNDArray":
        raise Unreadable("its answer is an image (NTNDArray), which is not taken")
    if kind in ("NTScalar", "NTScalarArray", "NTEnum", "NTTable"):
        return _value(kind, structure)["value"]
    return structure.todict()


def fill(structure: Any, value: Any) -> None:
    """Put a value into the structure that a channel holds.

    Raises:
        ValueError: the channel holds something else.
    """
    kind = normative(structure)
    if kind == "NTEnum":
        choices = list(structure.value.choices)
        if isinstance(value, str) and value not in choices:
            raise ValueError(f"{value!r:.60} is not a state of the channel")
        structure["value.index"] = choices.index(value) if isinstance(value, str) else int(value)
    elif kind in ("NTScalar", "NTScalarArray"):
        if kind == "NTScalar" and structure.type().aspy("value") == "?" and isinstance(value, str):
            value = {"false": False, "true": True}[value]
        structure.value = value
    else:
        raise ValueError(f"a {kind or 'structure of its own'} is not written: numbers, texts, arrays and states are")


def question(nturi: Any, channel: str, arguments: Mapping[str, Any]) -> Any:
    """Return the NTURI that asks a command with these arguments.

    Raises:
        ValueError: an argument is neither a number, a text, a boolean nor a list of numbers.
    """
    kinds = [(name, _code(name, value)) for name, value in arguments.items()]
    return nturi(kinds).wrap(channel, kws=dict(arguments))


def _code(name: str, value: Any) -> str:
    for kind, code in _ARGUMENTS:
        if isinstance(value, kind):
            return code
    if hasattr(value, "dtype") or isinstance(value, list):
        return "ad"
    raise ValueError(f"the argument {name!r:.60} is a {type(value).__name__}: give numbers, texts, or lists of numbers")


def _value(kind: str, structure: Any) -> Answer:
    plain: Answer = {"labels": [], "count": 1}
    if kind == "NTScalar":
        dtype = _DTYPES[structure.type().aspy("value")]
        if dtype == "?":
            return {**plain, "kind": "enum", "dtype": "?", "labels": ["false", "true"], "value": bool(structure.value)}
        return {**plain, "kind": "text" if dtype == "string" else "number", "dtype": dtype, "value": structure.value}
    if kind == "NTEnum":
        index, labels = int(structure.value.index), [str(label) for label in structure.value.choices]
        value = labels[index] if 0 <= index < len(labels) else index
        return {"kind": "enum", "dtype": "enum", "labels": labels, "count": 1, "value": value}
    if kind == "NTScalarArray":
        value = _column(structure.value)
        # The server tells no greatest length, and refuses by itself what is too long for it.
        dtype = _DTYPES[structure.type().aspy("value")[-1]]
        return {**plain, "kind": "array", "dtype": dtype, "count": _LARGEST_ARRAY // 8, "value": value}
    if kind == "NTTable":
        # Labels may repeat or be empty; the names of the fields do neither.
        columns = {name: _column(structure.value[name]) for name in structure.value.keys()}  # noqa: SIM118 - no mapping
        return {**plain, "kind": "table", "dtype": "table", "value": columns}
    if kind == "NTNDArray":
        raise Unreadable("an image (NTNDArray) is not read: read the statistics channels of its camera instead")
    raise Unreadable(
        f"a structure of the type {structure.getID()!r:.80} is not read: only scalars, arrays, states, tables"
    )


def _column(values: Any) -> Any:
    if hasattr(values, "dtype"):
        if values.nbytes > _LARGEST_ARRAY:
            raise Unreadable(f"an array of {len(values)} elements, too large to be read")
        return values
    texts = [str(value) for value in values]
    if sum(map(len, texts)) > _LARGEST_ARRAY:
        raise Unreadable(f"an array of {len(texts)} texts, too large to be read")
    return texts


def _status(alarm: Any) -> str:
    if not alarm.severity:
        return ""
    number = int(alarm.status)
    return str(alarm.message)[:200] or (_STATUSES[number] if 0 <= number < len(_STATUSES) else str(number))
