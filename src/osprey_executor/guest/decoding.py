"""What the service sends in: context and readings. The service is trusted; the host's decoder is the hardened one."""

from __future__ import annotations

import sys
from array import array
from datetime import date, datetime, time, timedelta
from importlib import import_module
from io import BytesIO
from struct import unpack_from
from typing import Any, Callable, Dict, Sequence, cast

from .zones import zone_of

_ARRAYS = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}
_MISSING = 0xFFFFFFFF


def decode(document: Any, blobs: Sequence[bytes]) -> Any:
    """Return the value of a document of this codec.

    Raises:
        ValueError: it is of a kind that this environment cannot hold.
    """
    if isinstance(document, list):
        return [decode(item, blobs) for item in document]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(document, dict):
        return document
    fields: dict[str, Any] = document  # pyright: ignore[reportUnknownVariableType]
    kind = fields.get("$type")
    if kind is None:
        return {key: decode(item, blobs) for key, item in fields.items()}
    parts = {key: decode(item, blobs) for key, item in fields.items() if key != "$type"}
    if "blob" in parts:
        parts["blob"] = blobs[parts["blob"]]
    build = _BUILD.get(kind)
    if build is None:
        from .decoding_frames import build_frame

        return build_frame(kind, parts)
    return build(parts)


def _floats(parts: dict[str, Any], code: str) -> list[Any]:
    numbers = array(code, bytes(parts["blob"]))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _strings(parts: dict[str, Any]) -> list[Any]:
    data: bytes = parts["blob"]
    (number,) = unpack_from("<Q", data)
    at = 8 + 4 * number
    texts: list[Any] = []
    for length in unpack_from("<{}I".format(number), data, 8):
        texts.append(None if length == _MISSING else data[at : at + length].decode("utf-8", "surrogatepass"))
        at += 0 if length == _MISSING else length
    return texts


def _with_zone(value: Any, parts: dict[str, Any]) -> Any:
    zone = zone_of(parts["zone"]) if parts["zone"] else None
    return value.replace(tzinfo=zone if zone is not None else value.tzinfo, fold=parts["fold"])


def _ndarray(parts: dict[str, Any]) -> Any:
    try:
        np: Any = import_module("numpy")
    except ImportError:
        return _list_of(parts["blob"])
    return np.lib.format.read_array(BytesIO(parts["blob"]), allow_pickle=False)


def _list_of(npy: bytes) -> list[Any]:
    """Return a one-dimensional array of numbers as a list, where there is no numpy."""
    from ast import literal_eval

    start = 10 if npy[6] == 1 else 12
    header = literal_eval(npy[start : start + unpack_from("<H" if npy[6] == 1 else "<I", npy, 8)[0]].decode())
    code = _ARRAYS.get(header["descr"][1:])
    if len(header["shape"]) != 1 or code is None:
        raise ValueError(
            "an array of type {} and shape {} needs numpy, which this Python environment does not have".format(
                header["descr"], header["shape"]
            )
        )
    numbers = array(code, npy[len(npy) - header["shape"][0] * array(code).itemsize :])
    if (header["descr"][0] == ">") != (sys.byteorder == "big"):
        numbers.byteswap()
    return numbers.tolist()


def _objects(parts: dict[str, Any]) -> Any:
    try:
        import numpy as np
    except ImportError:
        return parts["items"]
    made = cast("Any", np.empty(len(parts["items"]), dtype=object))
    for index, item in enumerate(parts["items"]):
        made[index] = item
    return made.reshape(parts["shape"])


def _scalar(parts: dict[str, Any]) -> Any:
    if "blob" in parts:
        return _ndarray(parts)[()]
    try:
        import numpy as np
    except ImportError:
        return parts["value"]
    return np.dtype(parts["dtype"]).type(parts["value"])


def _masked(parts: dict[str, Any]) -> Any:
    import numpy as np

    return np.ma.MaskedArray(parts["data"], parts["mask"])


_BUILD: Dict[str, Callable[[Dict[str, Any]], Any]] = {
    "float": lambda parts: float(parts["value"]),
    "int": lambda parts: int(parts["value"], 16),
    "str": lambda parts: bytes(parts["blob"]).decode("utf-8", "surrogatepass"),
    "bytes": lambda parts: bytes(parts["blob"]) if "blob" in parts else bytes.fromhex(parts["hex"]),
    "floats": lambda parts: _floats(parts, "d"),
    "ints": lambda parts: _floats(parts, "q"),
    "strings": _strings,
    "tuple": lambda parts: tuple(parts["items"]),
    "set": lambda parts: set(parts["items"]),
    "frozenset": lambda parts: frozenset(parts["items"]),
    "dict": lambda parts: dict(parts["items"]),
    "range": lambda parts: range(parts["start"], parts["stop"], parts["step"]),
    "complex": lambda parts: complex(parts["real"], parts["imag"]),
    "datetime": lambda parts: _with_zone(datetime.fromisoformat(parts["value"]), parts),
    "date": lambda parts: date.fromisoformat(parts["value"]),
    "time": lambda parts: _with_zone(time.fromisoformat(parts["value"]), parts),
    "timedelta": lambda parts: timedelta(parts["days"], parts["seconds"], parts["microseconds"]),
    "Path": lambda parts: import_module("pathlib").PurePosixPath(parts["value"]),
    "Decimal": lambda parts: import_module("decimal").Decimal(parts["value"]),
    "Fraction": lambda parts: import_module("fractions").Fraction(parts["numerator"], parts["denominator"]),
    "Enum": lambda parts: parts["value"],
    "repr": lambda parts: parts["text"],
    "ndarray": _ndarray,
    "objects": _objects,
    "scalar": _scalar,
    "masked": _masked,
}
