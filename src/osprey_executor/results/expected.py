"""Whether `results` are what `expected_results` asks for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import PurePath
from typing import Any, cast

from osprey_executor.results._claims import ArrayClaim, FrameClaim

_MOST_PROBLEMS = 50
_DEEPEST = 50


def check_expected(expected: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each thing that is missing from `results` or of another type; empty if all is well.

    The vocabulary is Osprey's: a name with a type word (`"float"`, `"list"`, `"<dict>"`, with or without angle
    brackets, alternatives with `|`), or with a dict of names, nested. Numbers of numpy count as Python's, an int as a
    float, tuples and arrays as lists. A word that is no type ("rms in mm") is a hint: the name must exist, no more.
    """
    problems: list[str] = []
    _check_names(expected, results, "results", problems, 0)
    return problems


def _check_names(
    expected: Mapping[str, Any], found: Mapping[Any, Any], path: str, problems: list[str], deep: int
) -> None:
    for name, wanted in expected.items():
        if len(problems) >= _MOST_PROBLEMS or deep > _DEEPEST:
            return
        if _PLACEHOLDER.fullmatch(name):
            for key, value in found.items():
                _check_value(wanted, value, f"{path}[{key!r}]", problems, deep)
        elif name not in found:
            problems.append(f"{path}[{name!r}] is missing{_wants(wanted)}{_there_is(found)}")
        else:
            _check_value(wanted, found[name], f"{path}[{name!r}]", problems, deep)


def _check_value(wanted: Any, value: Any, path: str, problems: list[str], deep: int) -> None:
    if isinstance(wanted, Mapping):
        if isinstance(value, Mapping):
            _check_names(cast(Mapping[str, Any], wanted), cast(Mapping[Any, Any], value), path, problems, deep + 1)
        else:
            problems.append(f"{path} must be a dict, not {_what(value)}")
    elif isinstance(wanted, list | tuple) and _checks(wanted) is None:
        if not _is_list(value):
            problems.append(f"{path} must be a list, not {_what(value)}")
    else:
        checks = _checks(wanted)
        if checks is not None and not any(check(value) for check in checks):
            problems.append(f"{path} must be of type {_word(wanted)}, not {_what(value)}")


def _checks(wanted: Any) -> list[Callable[[Any], bool]] | None:
    """Return what makes a value right, or None where `wanted` is a hint."""
    if not isinstance(wanted, str | type):
        return None
    checks: list[Callable[[Any], bool]] = []
    for part in _ALTERNATIVES.split(_word(wanted)):
        word = part.strip().strip("<>").strip().lower()
        word = word.partition("[")[0].rpartition(".")[2]
        if word not in _TYPES:
            return None
        checks.append(_TYPES[word])
    return checks


def _word(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) else str(wanted)


def _wants(wanted: Any) -> str:
    if isinstance(wanted, Mapping):
        names = ", ".join(repr(name) for name in list(cast(Mapping[Any, Any], wanted))[:10])
        return f" (a dict with {names})" if names else " (a dict)"
    return f" ({_word(wanted)[:100]})" if isinstance(wanted, str | type) and wanted else ""


def _there_is(found: Mapping[Any, Any]) -> str:
    names = ", ".join(repr(name)[:50] for name in list(found)[:10])
    return f"; there is: {names}" if names else ""


def _what(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _science(library: str, *names: str) -> tuple[type, ...]:
    module = sys.modules.get(library)
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def _plain(value: Any) -> Any:
    """Return a scalar of numpy, or an array of no dimension, as Python's."""
    if isinstance(value, _science("numpy", "generic")) or (_is_array(value) and getattr(value, "shape", None) == ()):
        return value.item()
    return value


def _is_array(value: Any) -> bool:
    return isinstance(value, (ArrayClaim, *_science("numpy", "ndarray")))


def _is_int(value: Any) -> bool:
    plain = _plain(value)
    return isinstance(plain, int) and not isinstance(plain, bool)


def _is_float(value: Any) -> bool:
    plain = _plain(value)
    return isinstance(plain, int | float) and not isinstance(plain, bool)


def _is_number(value: Any) -> bool:
    return _is_float(value) or isinstance(_plain(value), complex)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | range) or _is_array(value) or _is_column(value)


def _is_column(value: Any) -> bool:
    return isinstance(value, _science("pandas", "Series", "Index")) or (
        isinstance(value, FrameClaim) and value.kind in ("Series", "Index", "RangeIndex")
    )


def _is_frame(value: Any) -> bool:
    return isinstance(value, _science("pandas", "DataFrame")) or (
        isinstance(value, FrameClaim) and value.kind == "DataFrame"
    )


def _is_time(value: Any) -> bool:
    return isinstance(value, (datetime, date, *_science("numpy", "datetime64")))


def _of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(_plain(value), kinds)


_PLACEHOLDER = re.compile(r"<.*>")
_ALTERNATIVES = re.compile(r"\||\bor\b")
_TYPES: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "object": lambda value: True,
    **dict.fromkeys(("float", "double", "float64", "float32"), _is_float),
    **dict.fromkeys(("int", "integer", "int64", "int32"), _is_int),
    **dict.fromkeys(("number", "numeric"), _is_number),
    "complex": _is_number,
    **dict.fromkeys(("str", "string", "text"), _of(str)),
    **dict.fromkeys(("bool", "boolean"), _of(bool)),
    **dict.fromkeys(("dict", "mapping"), _of(Mapping)),
    **dict.fromkeys(("list", "array", "ndarray", "tuple", "sequence"), _is_list),
    **dict.fromkeys(("set", "frozenset"), _of(set, frozenset, list, tuple)),
    **dict.fromkeys(("dataframe", "table"), _is_frame),
    "series": _is_column,
    **dict.fromkeys(("datetime", "date", "timestamp"), _is_time),
    "bytes": _of(bytes),
    "path": _of(str, PurePath),
    **dict.fromkeys(("none", "nonetype", "null"), lambda value: value is None),
}
