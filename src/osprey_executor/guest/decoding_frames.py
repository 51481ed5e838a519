"""Values of pandas from their parts."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Dict

from .zones import zone_of


def build_frame(kind: str, parts: dict[str, Any]) -> Any:
    """Return the value of pandas of that kind.

    Raises:
        ValueError: the kind is not known, or this environment has no pandas.
    """
    build = _BUILD.get(kind)
    if build is None:
        raise ValueError("the service sent a value of the unknown kind {!r}".format(kind))
    try:
        pd = import_module("pandas")
    except ImportError:
        raise ValueError("a {} needs pandas, which this Python environment does not have".format(kind)) from None
    return build(pd, parts)


def _dtype_of(values: Any) -> Any:
    """Return `object` for object arrays, so that pandas does not guess; else None."""
    return object if str(getattr(values, "dtype", "")) == "object" else None


def _index(pd: Any, parts: dict[str, Any]) -> Any:
    made = pd.Index(parts["values"], dtype=_dtype_of(parts["values"]), name=parts["name"], tupleize_cols=False)
    if parts.get("freq"):
        made.freq = parts["freq"]
    return made


def _frame(pd: Any, parts: dict[str, Any]) -> Any:
    index = parts["index"]
    columns = {
        position: pd.Series(values, index=index, dtype=_dtype_of(values))
        for position, values in enumerate(parts["data"])
    }
    frame = pd.DataFrame(columns, index=index)
    frame.columns = parts["columns"]
    return frame


def _zoned(pd: Any, parts: dict[str, Any]) -> Any:
    zone = zone_of(parts["zone"]) if parts["zone"] else None
    return pd.DatetimeIndex(parts["values"]).tz_localize("UTC").tz_convert(zone or "UTC").array


def _timestamp(pd: Any, parts: dict[str, Any]) -> Any:
    import numpy as np

    made = pd.Timestamp(np.datetime64(parts["value"], parts["unit"]))
    zone = zone_of(parts["zone"]) if parts["zone"] else None
    return made if zone is None else made.tz_localize("UTC").tz_convert(zone)


def _timedelta(pd: Any, parts: dict[str, Any]) -> Any:
    import numpy as np

    return pd.Timedelta(np.timedelta64(parts["value"], parts["unit"]))


def _nullable(pd: Any, parts: dict[str, Any]) -> Any:
    made = pd.array(parts["values"], dtype=parts["dtype"])
    made[parts["mask"]] = pd.NA
    return made


def _strings(pd: Any, parts: dict[str, Any]) -> Any:
    try:
        return pd.array(parts["values"], dtype=parts["dtype"])
    except TypeError:
        return pd.array(parts["values"], dtype="object")


_BUILD: Dict[str, Callable[[Any, Dict[str, Any]], Any]] = {
    "NaT": lambda pd, parts: pd.NaT,
    "NA": lambda pd, parts: pd.NA,
    "Timestamp": _timestamp,
    "Timedelta": _timedelta,
    "Index": _index,
    "RangeIndex": lambda pd, parts: pd.RangeIndex(parts["start"], parts["stop"], parts["step"], name=parts["name"]),
    "MultiIndex": lambda pd, parts: pd.MultiIndex(
        levels=parts["levels"], codes=parts["codes"], names=parts["names"], verify_integrity=True
    ),
    "Series": lambda pd, parts: pd.Series(
        parts["values"], index=parts["index"], name=parts["name"], dtype=_dtype_of(parts["values"])
    ),
    "DataFrame": _frame,
    "Categorical": lambda pd, parts: pd.Categorical.from_codes(
        parts["codes"], categories=parts["categories"], ordered=parts["ordered"]
    ),
    "DatetimeTZ": _zoned,
    "Nullable": _nullable,
    "Strings": _strings,
}
