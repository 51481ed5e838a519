"""How values of numpy and pandas are encoded. Imports neither: a value of theirs exists only where they are loaded."""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

from osprey_executor.errors import ResultsError
from osprey_executor.results._zones import zone_name

if TYPE_CHECKING:
    from osprey_executor.results.encoder import Encoder

_INLINE = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "U": 2**62, "S": 2**62}
_NULLABLE = frozenset(
    ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean")
)


def encode_science(encoder: Encoder, value: Any, where: str) -> Any:
    """Return the document of a value of numpy or pandas, or None where it is neither.

    Raises:
        ResultsError: it is of a type that cannot be encoded.
    """
    np: Any = sys.modules.get("numpy")
    if np is None:
        return None
    if isinstance(value, np.generic):
        return _scalar(encoder, value, where)
    if isinstance(value, np.ndarray):
        masked = sys.modules.get("numpy.ma")
        if masked is not None and isinstance(value, masked.MaskedArray):
            data, mask = np.ma.getdata(value), np.ma.getmaskarray(value)
            return {"$type": "masked", "data": _array(encoder, data, where), "mask": _array(encoder, mask, where)}
        return _array(encoder, np.asarray(value), where)
    pd: Any = sys.modules.get("pandas")
    return None if pd is None else _pandas(encoder, pd, value, where)


def _scalar(encoder: Encoder, value: Any, where: str) -> Any:
    import numpy as np

    dtype = value.dtype
    if dtype.itemsize <= _INLINE.get(dtype.kind, -1):
        return {"$type": "scalar", "dtype": dtype.str, "value": encoder.value(value.item(), where)}
    return {"$type": "scalar", "dtype": dtype.str, "blob": _npy(encoder, np.asarray(value), where)}


def _array(encoder: Encoder, array: Any, where: str) -> Any:
    if array.dtype.kind in "OT":
        flat = array.astype(object).reshape(-1)
        return {"$type": "objects", "shape": list(array.shape), "items": encoder.items(list(flat), f"{where}.flat")}
    return {"$type": "ndarray", "blob": _npy(encoder, array, where)}


def _npy(encoder: Encoder, array: Any, where: str) -> int:
    import numpy as np

    if array.dtype.hasobject:
        raise ResultsError(f"{where} is a structured array that holds Python objects, which cannot be encoded")
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metadata of a dtype and names outside Latin-1 make numpy warn
        np.lib.format.write_array(buffer, array, allow_pickle=False)
    return encoder.blob(buffer.getvalue())


def _pandas(encoder: Encoder, pd: Any, value: Any, where: str) -> Any:
    if value is pd.NaT or value is pd.NA:
        return {"$type": "NaT" if value is pd.NaT else "NA"}
    if isinstance(value, pd.Timestamp):
        return {"$type": "Timestamp", **_moment(value), "zone": zone_name(value.tzinfo)}
    if isinstance(value, pd.Timedelta):
        return {"$type": "Timedelta", **_moment(value)}
    if isinstance(value, pd.Index):
        return _index(encoder, pd, value, where)
    if isinstance(value, pd.Series):
        return {
            "$type": "Series",
            "values": _column(encoder, pd, value, where),
            "index": _index(encoder, pd, value.index, f"{where}.index"),
            "name": encoder.value(value.name, f"{where}.name"),
        }
    if isinstance(value, pd.DataFrame):
        names = list(value.columns)
        return {
            "$type": "DataFrame",
            "columns": _index(encoder, pd, value.columns, f"{where}.columns"),
            "index": _index(encoder, pd, value.index, f"{where}.index"),
            "data": [
                _column(encoder, pd, value.iloc[:, at], f"{where}[{name!r:.80}]") for at, name in enumerate(names)
            ],
        }
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return _column(encoder, pd, pd.Series(value), where)
    return None


def _moment(value: Any) -> dict[str, Any]:
    exact = value.to_numpy()
    return {"value": int(exact.astype("int64")), "unit": exact.dtype.name.partition("[")[2].rstrip("]")}


def _index(encoder: Encoder, pd: Any, index: Any, where: str) -> Any:
    if isinstance(index, pd.MultiIndex):
        return {
            "$type": "MultiIndex",
            "levels": [_index(encoder, pd, level, where) for level in index.levels],
            "codes": [encoder.value(codes, where) for codes in index.codes],
            "names": [encoder.value(name, where) for name in index.names],
        }
    name = encoder.value(index.name, f"{where}.name")
    if isinstance(index, pd.RangeIndex):
        bounds = {"start": int(index.start), "stop": int(index.stop), "step": int(index.step)}
        return {"$type": "RangeIndex", **bounds, "name": name}
    freq = getattr(index, "freqstr", None)
    if not isinstance(freq, str) or isinstance(index, pd.PeriodIndex):
        freq = None
    return {"$type": "Index", "values": _column(encoder, pd, index, where), "name": name, "freq": freq}


def _column(encoder: Encoder, pd: Any, values: Any, where: str) -> Any:
    import numpy as np

    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _array(encoder, values.to_numpy(), where)
    if isinstance(dtype, pd.CategoricalDtype):
        held = values.array
        return {
            "$type": "Categorical",
            "codes": _array(encoder, np.asarray(held.codes), where),
            "categories": _index(encoder, pd, held.categories, f"{where}.categories"),
            "ordered": bool(held.ordered),
        }
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = pd.DatetimeIndex(values).tz_convert(None).to_numpy()
        return {"$type": "DatetimeTZ", "values": _array(encoder, moments, where), "zone": zone_name(dtype.tz)}
    if isinstance(dtype, pd.StringDtype):
        return _texts(encoder, str(dtype), values, where)
    if str(dtype) in _NULLABLE:
        plain = dtype.numpy_dtype
        return {
            "$type": "Nullable",
            "dtype": str(dtype),
            "values": _array(encoder, values.array.to_numpy(dtype=plain, na_value=plain.type(0)), where),
            "mask": _array(encoder, np.asarray(values.isna(), dtype=bool), where),
        }
    return _texts(encoder, "str", values.astype(str), where)


def _texts(encoder: Encoder, dtype: str, values: Any, where: str) -> Any:
    import numpy as np

    texts = [item if isinstance(item, str) else None for item in np.asarray(values.array, dtype=object)]
    return {"$type": "Strings", "dtype": dtype, "values": encoder.items(texts, where)}
