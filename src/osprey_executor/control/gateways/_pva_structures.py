"""Samples as structures of PVAccess, and what a client puts as a value, or as something that no write can be.

Source: EPICS Normative Types Specification, https://docs.epics-controls.org/en/latest/pv-access/Normative-Types-Specification.html
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from osprey_executor.control.connectors._protocol import ChannelKind, Sample

_CODES = {
    **{"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "l", "u8": "L", "f4": "f", "f8": "d"},
    **{"?": "?", "string": "s"},
}
# epicsPVData, alarm_t; a word that is none of them comes from a record.
_STATUSES = ("", "DEVICE", "DRIVER", "RECORD", "DB", "CONF", "UNDEFINED", "CLIENT")
_RECORD = 3
_IGNORED = ("alarm", "timeStamp")
"""What clients send along with a value, and servers of records do not heed."""
_MOST_TEXT = 2**18
"""Characters of JSON that a value or the arguments of a command may be; the broker takes somewhat more."""

Plain = dict[str, Any]
UNREAD: Plain = {"alarm": {"severity": 3, "status": _STATUSES.index("UNDEFINED"), "message": "not read"}}
"""Of a channel whose value nobody has asked for: a client that puts is told a structure first."""


@dataclass(frozen=True)
class Layout:
    """The type of a channel's structure."""

    kind: str
    """`NTScalar`, `NTEnum` or `NTTable`."""
    code: str = ""
    """p4p's letter for the value; behind an `a` for each element."""
    columns: tuple[tuple[str, str], ...] = ()


class NoValue(Exception):
    """What a client puts is no value of the channel; the arguments say what it is."""


def layout(sample: Sample) -> Layout:
    """Return the type of a sample's structure."""
    match sample.kind:
        case ChannelKind.TABLE:
            columns = cast(Mapping[str, Any], sample.value)
            return Layout("NTTable", columns=tuple((name, _code_of(column)) for name, column in columns.items()))
        case ChannelKind.ENUM if sample.dtype != "?":
            return Layout("NTEnum")
        case ChannelKind.ARRAY:
            return Layout("NTScalar", "a" + _CODES.get(sample.dtype, "d"))
        case ChannelKind.TEXT:
            return Layout("NTScalar", "s")
        case _:
            return Layout("NTScalar", _CODES.get(sample.dtype, "d"))


@functools.lru_cache(maxsize=256)
def structure_type(layout: Layout) -> Any:
    """Return p4p's type of it; one for all channels, since p4p compares types by identity."""
    nt: Any = import_module("p4p.nt")
    if layout.kind == "NTEnum":
        return nt.NTEnum().type
    if layout.kind == "NTTable":
        return nt.NTTable(list(layout.columns)).type
    return nt.NTScalar(layout.code, display=True, control=True, valueAlarm=True, form=True).type


def about(sample: Sample) -> Plain:
    """Return what a sample says of its channel, as fields: it seldom changes."""
    match layout(sample):
        case Layout("NTTable", columns=columns):
            return {"labels": [name for name, _ in columns]}
        case Layout("NTEnum"):
            return {"value": {"choices": list(sample.labels)}}
        case Layout(_, code) if code[-1] in "?s":
            return {"display": {"units": sample.units}}
        case Layout(_, code):
            return _of_numbers(sample, code)


def moment(sample: Sample) -> Plain:
    """Return what a sample says of its moment, as fields: value, alarm and time."""
    seconds, microseconds = 0, 0
    if sample.timestamp is not None:
        seconds, microseconds = int(sample.timestamp.timestamp()), sample.timestamp.microsecond
    known = sample.status in _STATUSES
    return {
        "value": _value(sample),
        "alarm": {
            "severity": int(sample.severity),
            "status": _STATUSES.index(sample.status) if known else _RECORD,
            "message": sample.status,
        },
        "timeStamp": {"secondsPastEpoch": seconds, "nanoseconds": microseconds * 1000},
    }


def put_value(structure: Any) -> Any:
    """Return the value that a client puts.

    Raises:
        NoValue: it puts none, or something besides.
    """
    marked = cast(set[str], structure.changedSet(expand=True))
    others = sorted(name for name in marked if name.partition(".")[0] not in ("value", *_IGNORED))
    enum = structure.getID().startswith("epics:nt/NTEnum:")
    # One bit says that everything is put: servers of records take the value of it.
    if "" not in marked and (others or (enum and "value.choices" in marked) or not _has_value(marked)):
        raise NoValue({"put": others or sorted(marked)})
    value = structure["value.index"] if enum else structure["value"]
    if isinstance(value, bool):
        return int(value)
    if hasattr(value, "getID"):
        raise NoValue({"put": "a table"})
    return value if hasattr(value, "dtype") else _small(value)


def arguments_of(structure: Any) -> Plain:
    """Return the arguments of a command; those of an NTURI without what else is in it.

    Raises:
        NoValue: they are too much; the argument says how much.
    """
    told: Any = {} if structure is None else structure.todict()
    arguments = cast(Plain, told) if isinstance(told, dict) else {"argument": told}
    query: Any = arguments.get("query")
    return _small(_plain(query if isinstance(query, dict) else arguments))


def answer_structure(answer: Any) -> Any:
    """Return the answer of a command as a structure: NTScalar, NTScalarArray, NTTable, or fields as they are.

    Raises:
        TypeError: it holds what no structure of PVAccess does.
    """
    nt: Any = import_module("p4p.nt")
    value_type: Any = import_module("p4p").Value
    if isinstance(answer, dict):
        fields = cast(Plain, answer)
        if fields and all(hasattr(column, "dtype") or _is_texts(column) for column in fields.values()):
            table = nt.NTTable([(name, _code_of(column)) for name, column in fields.items()]).type
            return value_type(table, {"labels": list(fields), "value": fields})
        return value_type(import_module("p4p").Type(_fields_of(fields)), fields)
    if answer is None:
        return value_type(import_module("p4p").Type([]), {})
    return value_type(nt.NTScalar(_code_for(answer)).type, {"value": answer})


def _fields_of(fields: Plain) -> list[tuple[str, Any]]:
    return [
        (name, ("S", None, _fields_of(cast(Plain, one))) if isinstance(one, dict) else _code_for(one))
        for name, one in fields.items()
    ]


def _code_for(answer: Any) -> str:
    if isinstance(answer, bool):
        return "?"
    if isinstance(answer, int | float):
        return "l" if isinstance(answer, int) else "d"
    if hasattr(answer, "dtype"):
        return "a" + _CODES[answer.dtype.str[1:]] if answer.dtype.str[1:] in _CODES else "a?"
    if isinstance(answer, str) or _is_texts(answer):
        return "s" if isinstance(answer, str) else "as"
    raise TypeError(f"the answer holds a {type(answer).__name__}, which the gateway cannot pass on")


def _is_texts(column: object) -> bool:
    return isinstance(column, list) and all(isinstance(text, str) for text in cast(list[object], column))


def _of_numbers(sample: Sample, code: str) -> Plain:
    def pair(names: tuple[str, str], limits: tuple[float, float] | None) -> Plain:
        if limits is None or not all(map(math.isfinite, limits)):
            return {}
        return {name: limit if code[-1] in "fd" else int(limit) for name, limit in zip(names, limits, strict=True)}

    ends = ("limitLow", "limitHigh")
    display = {"units": sample.units, **pair(ends, sample.display_limits)}
    if sample.precision is not None:
        display["precision"] = sample.precision
    low = pair(("lowAlarmLimit", "lowWarningLimit"), sample.low_alarms)
    high = pair(("highWarningLimit", "highAlarmLimit"), sample.high_alarms)
    return {"display": display, "control": pair(ends, sample.control_limits), "valueAlarm": {**low, **high}}


def _has_value(marked: set[str]) -> bool:
    return any(name.partition(".")[0] == "value" for name in marked)


def _value(sample: Sample) -> Any:
    value: Any = sample.value
    match layout(sample):
        case Layout("NTEnum"):
            labels = sample.labels
            return {
                "index": labels.index(value) if value in labels else int(value) if not isinstance(value, str) else -1
            }
        case Layout(_, "?"):
            return value == "true" if isinstance(value, str) else bool(value)
        case Layout(_, "s"):
            return str(value)
        case Layout("NTTable") | Layout(_, "as"):
            return value
        case Layout(_, "d" | "f"):
            return float(value)
        case Layout(_, code) if code[0] == "a":
            return value
        case _:
            return int(value)


def _code_of(column: Any) -> str:
    return _CODES.get(column.dtype.str[1:], "d") if hasattr(column, "dtype") else "s"


def _small(value: Any) -> Any:
    size = len(json.dumps(value))
    if size > _MOST_TEXT:
        raise NoValue({"put": f"texts of {size} characters"})
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in cast(Plain, value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(list[Any], value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist()) if value.size < _MOST_TEXT else f"{value.size} numbers"
    return value if isinstance(value, bool | int | float | str | None) else repr(value)[:200]
