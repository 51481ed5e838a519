"""Values of numpy from their parts; claims where numpy is not installed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from osprey_executor.errors import ResultsError
from osprey_executor.results._claims import ArrayClaim
from osprey_executor.results._decode_plain import Parts
from osprey_executor.results._npy import is_shape, read_array, read_header

_SCALAR = re.compile(r"[<>|=]([biufcUS])\d{1,10}")
_ACCEPTS: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (int, float),
    "c": (complex,),
    "U": (str,),
    "S": (bytes,),
}


def _numpy() -> ModuleType | None:
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _objects(parts: Parts) -> Any:
    items, shape = parts.items("items"), parts.any("shape")
    if not is_shape(shape) or math.prod(shape) != len(items):
        raise ResultsError(f"an array of {len(items)} objects says that it has the shape {shape!r:.100}")
    np: Any = _numpy()
    if np is None:
        return ArrayClaim("object", tuple(shape), items=tuple(items))
    made = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        made[index] = item
    return made.reshape(tuple(shape))


def _scalar(parts: Parts) -> Any:
    if parts.blob is not None:
        if read_header(parts.blob).shape != ():
            raise ResultsError("a scalar has a shape")
        made = read_array(parts.blob)
        return made if isinstance(made, ArrayClaim) else made[()]
    dtype, value = parts.text("dtype"), parts.any("value")
    found = _SCALAR.fullmatch(dtype)
    if not found or type(value) not in _ACCEPTS[found[1]]:
        raise ResultsError(f"{value!r:.50} is not a numpy scalar of type {dtype!r:.50}")
    np: Any = _numpy()
    return value if np is None else np.dtype(dtype).type(value)


def _masked(parts: Parts) -> Any:
    data, mask = parts.any("data"), parts.any("mask")
    np: Any = _numpy()
    if np is None:
        return data
    if not isinstance(data, np.ndarray) or not isinstance(mask, np.ndarray) or data.shape != mask.shape:
        raise ResultsError("a masked array has a mask of another shape")
    return np.ma.MaskedArray(data, mask)


ARRAYS: dict[str, Callable[[Parts], Any]] = {
    "ndarray": lambda parts: read_array(parts.data()),
    "objects": _objects,
    "scalar": _scalar,
    "masked": _masked,
}
