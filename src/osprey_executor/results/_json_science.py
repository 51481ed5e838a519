"""Arrays and tables as JSON: written out while small, summarised beyond. Imports neither numpy nor pandas."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_FIRST = 5


def science_to_json(value: Any, inner: Callable[[Any], Any], most: int) -> Any:
    """Return the JSON of a value of numpy or pandas, or None where it is neither."""
    np: Any = sys.modules.get("numpy")
    if np is None:
        return None
    pd: Any = sys.modules.get("pandas")
    if pd is not None:
        document = _pandas(pd, value, inner, most)
        if document is not None:
            return document
    if isinstance(value, np.generic):
        return _scalar(value, inner)
    if isinstance(value, np.ndarray):
        return _array(np, value, inner, most)
    return None


def _scalar(value: Any, inner: Callable[[Any], Any]) -> Any:
    if value.dtype.kind in "biufcSU" and value.dtype.itemsize <= 16:
        plain = value.item()
        return inner(plain if isinstance(plain, bool | int | float | complex | str | bytes) else float(plain))
    return inner(value.item() if value.dtype.kind in "US" else str(value))


def _array(np: Any, array: Any, inner: Callable[[Any], Any], most: int) -> Any:
    if np.ma.isMaskedArray(array):
        array = array.astype(object).filled(None)
    if array.size > most or array.ndim > 20:
        return {"$type": "ndarray", **_summary(np, array, inner)}
    return _nested(array, inner) if array.ndim else inner(array[()])


def _nested(array: Any, inner: Callable[[Any], Any]) -> list[Any]:
    if array.ndim == 1:
        return [inner(item) for item in array]
    return [_nested(part, inner) for part in array]


def _summary(np: Any, array: Any, inner: Callable[[Any], Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"dtype": str(array.dtype)[:200], "shape": list(array.shape)}
    told["first"] = [inner(item) for item in array.reshape(-1)[:_FIRST]]
    if array.dtype.kind in "iuf" and array.size:
        is_finite = np.isfinite(array)
        finite = array if is_finite.all() else array[is_finite]
        if finite.size:
            least, largest, mean = finite.min(), finite.max(), finite.astype(float, copy=False).mean()
            told["summary"] = {"min": inner(least), "max": inner(largest), "mean": inner(mean)}
        if finite.size != array.size:
            told["not_finite"] = int(array.size - finite.size)
    return told


def _pandas(pd: Any, value: Any, inner: Callable[[Any], Any], most: int) -> Any:
    if value is pd.NaT or value is pd.NA:
        return "NaT" if value is pd.NaT else "NA"
    if isinstance(value, pd.Timestamp):
        return str(value.isoformat())
    if isinstance(value, pd.Timedelta):
        return {"$type": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, pd.Index):
        return _column(value, inner, most) if len(value) > most else [inner(item) for item in value]
    if isinstance(value, pd.Series):
        whole = len(value) <= most
        index = {"index": [inner(item) for item in value.index]} if whole else {}
        return {"$type": "Series", "name": inner(value.name), **_column(value, inner, most), **index}
    if isinstance(value, pd.DataFrame):
        return _frame(value, inner, most)
    return None


def _frame(frame: Any, inner: Callable[[Any], Any], most: int) -> dict[str, Any]:
    whole = frame.size <= most and len(frame) <= most
    shown = min(frame.shape[1], most)
    columns: dict[str, Any] = {}
    for at in range(shown):
        name = plain = str(inner(str(frame.columns[at])))
        again = 2
        while name in columns:
            name, again = f"{plain} ({again})", again + 1
        column = frame.iloc[:, at]
        columns[name] = [inner(item) for item in column] if whole else _column(column, inner, 0)
    index = {"index": [inner(item) for item in frame.index]} if whole else {}
    return {"$type": "DataFrame", "shape": list(frame.shape), "columns": columns, **index}


def _column(values: Any, inner: Callable[[Any], Any], most: int) -> dict[str, Any]:
    np: Any = sys.modules["numpy"]

    if len(values) <= most:
        return {"dtype": str(values.dtype), "values": [inner(item) for item in values]}
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return _summary(np, values.to_numpy(), inner)
    first = [inner(item) for item in values[:_FIRST]]
    return {"dtype": str(values.dtype)[:200], "shape": [len(values)], "first": first}
