"""How numpy's values are encoded: arrays as npy without pickle, object arrays element by element."""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .holders import bulk_list
from .shown import class_name

if TYPE_CHECKING:
    from .encoding import Encoder

_PLAIN_SCALARS = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "U": 2**62, "S": 2**62}


def encode_science(encoder: Encoder, kind: type, value: Any) -> Any:
    """Return the document of a value of numpy or pandas, or None where it is neither. Imports nothing."""
    pd = sys.modules.get("pandas")
    if pd is not None and hasattr(pd, "DataFrame"):
        from .frames import encode_pandas

        document = encode_pandas(encoder, pd, kind, value)
        if document is not None:
            return document
    np: Any = sys.modules.get("numpy")
    if np is None or not hasattr(np, "ndarray"):
        return None
    if issubclass(kind, np.generic):
        return _scalar(encoder, np, value)
    if issubclass(kind, np.ndarray):
        return _any_array(encoder, np, kind, value)
    if issubclass(kind, np.dtype):
        return encoder.tagged("repr", **{"class": "dtype", "text": str(value)[:2000]})
    return None


def _scalar(encoder: Encoder, np: Any, value: Any) -> Any:
    dtype = value.dtype
    if dtype.itemsize <= _PLAIN_SCALARS.get(dtype.kind, -1):
        return encoder.tagged("scalar", dtype=dtype.str, value=encoder.encode(np.generic.item(value)))
    if dtype.hasobject:
        return encoder.opaque(value, "a structured scalar that holds Python objects")
    return encoder.tagged("scalar", dtype=dtype.str, blob=_npy(encoder, np, np.asarray(value)))


def _any_array(encoder: Encoder, np: Any, kind: type, value: Any) -> Any:
    ma = sys.modules.get("numpy.ma")
    if ma is not None and issubclass(kind, ma.MaskedArray):
        return encoder.tagged(
            "masked",
            data=encode_array(encoder, np, np.ma.getdata(value)),
            mask=encode_array(encoder, np, np.ma.getmaskarray(value)),
        )
    if kind is not np.ndarray:
        known = kind.__module__.split(".")[0] == "numpy"
        encoder.note("is a {}, kept as a plain array".format(class_name(value))) if not known else None
    return encode_array(encoder, np, np.asarray(value))


def encode_array(encoder: Encoder, np: Any, array: Any) -> Any:
    """Return the document of a plain array."""
    if array.dtype.kind in "OT":
        return _objects(encoder, array)
    if array.dtype.hasobject:
        return encoder.opaque(array, "a structured array that holds Python objects")
    return encoder.tagged("ndarray", blob=_npy(encoder, np, array))


def _objects(encoder: Encoder, array: Any) -> Any:
    flat: list[Any] = array.reshape(-1).tolist() if array.dtype.kind == "T" else list(array.reshape(-1))
    items = bulk_list(encoder, flat) if len(flat) >= 64 else None
    if items is None:
        items = [encoder.inside(item, ".flat[{}]".format(index)) for index, item in enumerate(flat)]
    return encoder.tagged("objects", shape=list(array.shape), items=items)


def _npy(encoder: Encoder, np: Any, array: Any) -> int:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metadata of a dtype and names outside Latin-1 make numpy warn
        np.lib.format.write_array(buffer, array, allow_pickle=False)
    return encoder.blob(buffer.getbuffer())
