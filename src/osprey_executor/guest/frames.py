"""How the values of pandas are encoded: column by column, each as the arrays it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .science import encode_array
from .shown import class_name
from .zones import zone_name

if TYPE_CHECKING:
    from .encoding import Encoder

_NULLABLE = frozenset(
    ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean")
)


def encode_pandas(encoder: Encoder, pd: Any, kind: type, value: Any) -> Any:
    """Return the document of a value of pandas, or None where it is not one."""
    if value is pd.NaT or value is pd.NA:
        return encoder.tagged("NaT" if value is pd.NaT else "NA")
    if issubclass(kind, pd.Timestamp):
        return encoder.tagged("Timestamp", **_moment(value), zone=zone_name(value.tzinfo))
    if issubclass(kind, pd.Timedelta):
        return encoder.tagged("Timedelta", **_moment(value))
    if issubclass(kind, pd.Series):
        _note_class(encoder, pd.Series, kind, value)
        return encoder.tagged(
            "Series",
            values=_column(encoder, pd, value),
            index=_index(encoder, pd, value.index),
            name=_name(encoder, value.name),
        )
    if issubclass(kind, pd.DataFrame):
        _note_class(encoder, pd.DataFrame, kind, value)
        columns = list(value.columns)
        return encoder.tagged(
            "DataFrame",
            columns=_index(encoder, pd, value.columns),
            index=_index(encoder, pd, value.index),
            data=[
                _within(encoder, "[{!r:.80}]".format(name), pd, value.iloc[:, position])
                for position, name in enumerate(columns)
            ],
        )
    if issubclass(kind, pd.Index):
        return _index(encoder, pd, value)
    if issubclass(kind, pd.api.extensions.ExtensionArray):
        return _column(encoder, pd, pd.Series(value))
    return None


def _note_class(encoder: Encoder, base: type, kind: type, value: Any) -> None:
    if kind is not base:
        encoder.note("is a {}, kept as a plain {}".format(class_name(value), base.__name__))


def _moment(value: Any) -> dict[str, Any]:
    exact = value.to_numpy()
    return {"value": int(exact.astype("int64")), "unit": str(exact.dtype)[exact.dtype.name.index("[") + 1 : -1]}


def _within(encoder: Encoder, where: str, pd: Any, series: Any) -> Any:
    return encoder.at(where, lambda: _column(encoder, pd, series))


def _name(encoder: Encoder, name: Any) -> Any:
    return encoder.inside(name, ".name") if name is not None else None


def _index(encoder: Encoder, pd: Any, index: Any) -> Any:
    if isinstance(index, pd.MultiIndex):
        return encoder.tagged(
            "MultiIndex",
            levels=[_index(encoder, pd, level) for level in index.levels],
            codes=[encoder.inside(codes, ".codes") for codes in index.codes],
            names=[_name(encoder, name) for name in index.names],
        )
    if isinstance(index, pd.RangeIndex):
        return encoder.tagged(
            "RangeIndex",
            start=encoder.encode(int(index.start)),
            stop=encoder.encode(int(index.stop)),
            step=encoder.encode(int(index.step)),
            name=_name(encoder, index.name),
        )
    freq = getattr(index, "freqstr", None)
    return encoder.tagged(
        "Index",
        values=encoder.at(".index", lambda: _column(encoder, pd, index)),
        name=_name(encoder, index.name),
        freq=freq if type(freq) is str and not isinstance(index, pd.PeriodIndex) else None,
    )


def _column(encoder: Encoder, pd: Any, values: Any) -> Any:
    """Return the document of the values of a Series or an Index."""
    import numpy as np

    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return encode_array(encoder, np, values.to_numpy())
    if isinstance(dtype, pd.CategoricalDtype):
        held = values.array
        return encoder.tagged(
            "Categorical",
            codes=encode_array(encoder, np, np.asarray(held.codes)),
            categories=_index(encoder, pd, held.categories),
            ordered=bool(held.ordered),
        )
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = pd.DatetimeIndex(values).tz_convert(None).to_numpy()
        return encoder.tagged("DatetimeTZ", values=encode_array(encoder, np, moments), zone=zone_name(dtype.tz))
    if isinstance(dtype, pd.StringDtype):
        return _texts(encoder, str(dtype), values)
    if str(dtype) in _NULLABLE:
        plain = dtype.numpy_dtype
        return encoder.tagged(
            "Nullable",
            dtype=str(dtype),
            values=encode_array(encoder, np, values.array.to_numpy(dtype=plain, na_value=plain.type(0))),
            mask=encode_array(encoder, np, np.asarray(values.isna(), dtype=bool)),
        )
    encoder.note("has the dtype {!s:.80}, kept as text".format(dtype))
    return _texts(encoder, "str", values.astype(str))


def _texts(encoder: Encoder, dtype: str, values: Any) -> Any:
    import numpy as np

    texts = [item if isinstance(item, str) else None for item in np.asarray(values.array, dtype=object)]
    return encoder.tagged("Strings", dtype=dtype, values=encoder.inside(texts, ""))
