"""Values of pandas from their parts. Called only where pandas is installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from osprey_executor.errors import ResultsError
from osprey_executor.results._decode_plain import Parts
from osprey_executor.results._zones import zone_of

_MOST_ROWS_OF_NOTHING = 10_000_000
_UNITS = frozenset({"s", "ms", "us", "ns"})
_NULLABLE = frozenset(
    ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean")
)
_FREQ = re.compile(r"-?\d{0,6}[A-Za-z]{1,6}(-[A-Z]{3})?")


def _pd() -> Any:
    return import_module("pandas")


def _array(value: Any, what: str) -> Any:
    """Return `value` if it is a one-dimensional array of numpy or pandas, else refuse."""
    import numpy as np

    if isinstance(value, np.ndarray | _pd().api.extensions.ExtensionArray) and getattr(value, "ndim", 0) == 1:
        return value
    raise ResultsError(f"the values of a {what} are not an array")


def _dtype_of(values: Any) -> Any:
    """Return `object` for object arrays, so that pandas does not guess; else None."""
    return object if str(values.dtype) == "object" else None


def _name(parts: Parts) -> Any:
    name = parts.any("name")
    try:
        hash(name)
    except TypeError:
        raise ResultsError(f"the name of a {parts.kind} is not hashable") from None
    return name


def _an_index(value: Any) -> Any:
    if isinstance(value, _pd().Index):
        return value
    raise ResultsError("the index of a table is not an index")


def _index(parts: Parts) -> Any:
    values = _array(parts.any("values"), "index")
    made = _pd().Index(values, dtype=_dtype_of(values), name=_name(parts), tupleize_cols=False)
    freq = parts.any("freq")
    if isinstance(freq, str) and _FREQ.fullmatch(freq):
        try:
            made.freq = freq
        except (ValueError, AttributeError, TypeError, Warning):  # a claim that does not fit is dropped, not an error
            return made
    return made


def _range_index(parts: Parts) -> Any:
    bounds = parts.whole("start"), parts.whole("stop"), parts.whole("step")
    if any(abs(bound) >= 2**62 for bound in bounds):
        raise ResultsError("a RangeIndex has bounds beyond 64 bits")
    return _pd().RangeIndex(*bounds, name=_name(parts))


def _multi_index(parts: Parts) -> Any:
    levels = [_an_index(level) for level in parts.items("levels")]
    codes = [_array(code, "MultiIndex") for code in parts.items("codes")]
    return _pd().MultiIndex(levels=levels, codes=codes, names=parts.items("names"), verify_integrity=True)


def _series(parts: Parts) -> Any:
    values, index = _array(parts.any("values"), "Series"), _an_index(parts.any("index"))
    if len(values) != len(index):
        raise ResultsError(f"a Series has {len(values)} values and {len(index)} labels")
    return _pd().Series(values, index=index, name=_name(parts), dtype=_dtype_of(values))


def _frame(parts: Parts) -> Any:
    pd = _pd()
    index, columns = _an_index(parts.any("index")), _an_index(parts.any("columns"))
    data = [_array(values, "column") for values in parts.items("data")]
    if len(columns) != len(data) or any(len(values) != len(index) for values in data):
        raise ResultsError("the columns of a DataFrame are not as many, or as long, as it says")
    if not data and len(index) > _MOST_ROWS_OF_NOTHING:
        raise ResultsError(f"a DataFrame without columns says that it has {len(index)} rows")
    made = {at: pd.Series(values, dtype=_dtype_of(values)) for at, values in enumerate(data)}
    frame = pd.DataFrame(made, index=None if data else index)
    frame.index, frame.columns = index, columns
    return frame


def _zoned(parts: Parts) -> Any:
    values = _array(parts.any("values"), "DatetimeTZ")
    if values.dtype.kind != "M":
        raise ResultsError("moments with a time zone are not moments")
    return _pd().DatetimeIndex(values).tz_localize("UTC").tz_convert(zone_of(parts.any("zone")) or "UTC").array


def _unit(parts: Parts) -> str:
    unit = parts.text("unit")
    if unit not in _UNITS:
        raise ResultsError(f"{unit!r:.20} is not a unit of time")
    return unit


def _timestamp(parts: Parts) -> Any:
    np: Any = import_module("numpy")
    made = _pd().Timestamp(np.datetime64(parts.whole("value"), _unit(parts)))
    zone = zone_of(parts.any("zone"))
    return made if zone is None else made.tz_localize("UTC").tz_convert(zone)


def _timedelta(parts: Parts) -> Any:
    np: Any = import_module("numpy")
    return _pd().Timedelta(np.timedelta64(parts.whole("value"), _unit(parts)))


def _categorical(parts: Parts) -> Any:
    codes = _array(parts.any("codes"), "Categorical")
    return _pd().Categorical.from_codes(
        codes, categories=_an_index(parts.any("categories")), ordered=bool(parts.any("ordered"))
    )


def _nullable(parts: Parts) -> Any:
    dtype = parts.text("dtype")
    values, mask = _array(parts.any("values"), "column"), _array(parts.any("mask"), "column")
    if dtype not in _NULLABLE or values.dtype.kind not in "biuf" or mask.dtype != bool or len(mask) != len(values):
        raise ResultsError(f"a column of type {dtype!r:.50} is not made of values and a mask")
    made = _pd().array(values, dtype=dtype)
    made[mask] = _pd().NA
    return made


def _strings(parts: Parts) -> Any:
    dtype, values = parts.text("dtype"), parts.items("values")
    if dtype not in ("str", "string") or not all(value is None or type(value) is str for value in values):
        raise ResultsError("a column of text holds something else")
    try:
        return _pd().array(values, dtype=dtype)
    except TypeError:  # pandas 2 has no dtype "str"
        return _pd().array(values, dtype="object")


FRAMES: dict[str, Callable[[Parts], Any]] = {
    "NaT": lambda parts: _pd().NaT,
    "NA": lambda parts: _pd().NA,
    "Timestamp": _timestamp,
    "Timedelta": _timedelta,
    "Index": _index,
    "RangeIndex": _range_index,
    "MultiIndex": _multi_index,
    "Series": _series,
    "DataFrame": _frame,
    "Categorical": _categorical,
    "DatetimeTZ": _zoned,
    "Nullable": _nullable,
    "Strings": _strings,
}
