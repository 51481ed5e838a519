"""Arrays and tables survive the codec exactly; without numpy or pandas they become claims."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import hypothesis.extra.numpy as nps
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from osprey_executor.guest import codec as guest
from osprey_executor.results import decoder, encoder
from osprey_executor.results._claims import ArrayClaim, FrameClaim

DTYPES = st.one_of(
    nps.boolean_dtypes(),
    nps.integer_dtypes(endianness="?"),
    nps.floating_dtypes(endianness="?"),
    nps.complex_number_dtypes(endianness="?"),
    nps.datetime64_dtypes(endianness="?"),
    nps.timedelta64_dtypes(endianness="?"),
    nps.byte_string_dtypes(max_len=5),
    nps.unicode_string_dtypes(max_len=5),
    nps.array_dtypes(),
)
ARRAYS = DTYPES.flatmap(lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_side=4, min_side=0)))


def received(document, blobs):
    text = json.dumps(document, allow_nan=False)
    return decoder.parse_document(text.encode()), [bytearray(blob) for blob in blobs]


def both_ways(value):
    """Return the value by the way out (guest to host) and by the way in (host to guest)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded = guest.encode_results({"value": value})
        document, blobs = encoder.encode(value)
        parsed, arrived = received(document, blobs)
        out = decoder.decode(*received(encoded.document, encoded.blobs))["value"]
        inward = guest.decode(parsed, [bytes(blob) for blob in arrived])
        again = decoder.decode(parsed, arrived)
    assert encoded.problems == []
    return out, inward, again


def same_array(left, right):
    assert type(left) is type(right)
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    # Bytes between fields are not data; a NaN has many forms.
    if left.tobytes() != right.tobytes():
        assert left.tolist() == right.tolist() if left.dtype.names else np.array_equal(left, right, equal_nan=True)


@settings(deadline=None, max_examples=200)
@given(ARRAYS)
def test_arrays(array):
    for rebuilt in both_ways(array):
        same_array(array, rebuilt)


@settings(deadline=None, max_examples=150)
@given(DTYPES.flatmap(lambda dtype: nps.arrays(dtype, ())).map(lambda array: array[()]))
def test_scalars(scalar):
    for rebuilt in both_ways(scalar):
        assert type(rebuilt) is type(scalar)
        same_array(np.asarray(scalar, dtype=rebuilt.dtype), np.asarray(rebuilt))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::2],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array([], dtype="f4"),
        np.zeros((0, 5)),
        np.array(1.5),
        np.array([1, 2], dtype=">i4"),
        np.array([("a", 1.5, [1, 2])], dtype=[("name", "U3"), ("x", "f4"), ("v", "i4", (2,))]),
        np.zeros(2, dtype=np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})),
        np.array([(1,)], dtype=[("\u00e4\u4e2d", "i4")]),
        np.array(["NaT", "2026-01-01"], dtype="M8[us]"),
        np.array([np.longdouble(1) / 3]),
        np.broadcast_to(np.float32(2), (3, 3)),
    ],
    ids=range(13),
)
def test_odd_arrays(array):
    for rebuilt in both_ways(array):
        same_array(
            np.ascontiguousarray(array) if array.ndim else array,
            np.ascontiguousarray(rebuilt) if array.ndim else rebuilt,
        )
        assert not rebuilt.size or rebuilt.flags.writeable


def test_object_arrays_go_element_by_element():
    array = np.empty((2, 2), dtype=object)
    array[:] = [[1, "a"], [None, np.arange(3)]]
    for rebuilt in both_ways(array):
        assert rebuilt.shape == (2, 2)
        assert rebuilt.dtype == object
        assert rebuilt[0].tolist() == [1, "a"]
        assert rebuilt[1, 1].tolist() == [0, 1, 2]


def test_masked_arrays_keep_their_mask():
    for rebuilt in both_ways(np.ma.MaskedArray([1.0, 2.0], [True, False])):
        assert rebuilt.mask.tolist() == [True, False]
        assert rebuilt.data.tolist() == [1.0, 2.0]


def test_an_array_that_holds_itself():
    array = np.empty(1, dtype=object)
    array[0] = array
    encoded = guest.encode_results({"x": array})
    assert "contains itself" in encoded.problems[0]


def test_an_array_lives_in_the_bytes_that_arrived():
    encoded = guest.encode_results({"x": np.zeros(100_000)})
    document, blobs = received(encoded.document, encoded.blobs)
    array = decoder.decode(document, blobs)["x"]
    assert np.shares_memory(array, np.frombuffer(blobs[0], dtype="u1"))


FRAME = pd.DataFrame(
    {
        "i": pd.array([1, 2, 3], dtype="int16"),
        "f": [1.5, np.nan, -np.inf],
        "s": ["a", None, "\u00e4"],
        "string": pd.array(["a", None, "b"], dtype="string"),
        "b": [True, False, True],
        "t": pd.to_datetime(["2026-01-01", None, "2026-01-02"]),
        "tz": pd.to_datetime(["2026-03-29 01:30", None, "2026-10-25 00:30"])
        .tz_localize("UTC")
        .tz_convert("Europe/Berlin"),
        "offset": pd.date_range("2026", periods=3, tz="+05:30"),
        "d": pd.to_timedelta([1, None, 3], unit="s"),
        "c": pd.Categorical(["x", "y", None], categories=["y", "x"], ordered=True),
        "Int64": pd.array([1, None, 3], dtype="Int64"),
        "Float32": pd.array([1.5, None, 3], dtype="Float32"),
        "boolean": pd.array([True, None, False], dtype="boolean"),
        "o": pd.Series([1, "a", None], dtype=object),
        7: [1, 2, 3],
    },
    index=pd.Index(["p", "q", "p"], name="row"),
)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        pd.DataFrame(),
        pd.DataFrame(index=range(3)),
        pd.DataFrame({"a": []}),
        pd.DataFrame([[1, 2], [3, 4]], columns=["same", "same"]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["u", None])),
        pd.DataFrame({"a": range(4)}, index=pd.date_range("2026", periods=4, freq="h", name="when")),
        pd.DataFrame({"a": range(4)}, index=pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["k", "n"])),
        pd.DataFrame({"a": range(4)}, index=pd.RangeIndex(10, 2, -2, name="r")),
        pd.DataFrame({"a": ["word"] * 1000, "b": np.arange(1000.0)}),
    ],
    ids=range(10),
)
def test_frames(frame):
    for rebuilt in both_ways(frame):
        pd.testing.assert_frame_equal(frame, rebuilt, check_freq=True)
        assert list(frame.columns.names) == list(rebuilt.columns.names)


@pytest.mark.parametrize("name", list(FRAME))
def test_series_indexes_and_arrays(name):
    series = FRAME[name]
    for rebuilt in both_ways(series):
        pd.testing.assert_series_equal(series, rebuilt)
    index = pd.Index(series)
    for rebuilt in both_ways(index):
        pd.testing.assert_index_equal(index, rebuilt, exact=True)


@pytest.mark.parametrize(
    "value",
    [
        pd.Timestamp("2026-01-01 12:00:00.123456789"),
        pd.Timestamp("2026-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin"),
        pd.Timestamp("2026-01-01", tz="UTC"),
        pd.Timedelta(1, "ns"),
        pd.Timedelta(-3, "D"),
        pd.NaT,
        pd.NA,
    ],
    ids=str,
)
def test_scalars_of_pandas(value):
    for rebuilt in both_ways(value):
        assert type(rebuilt) is type(value)
        assert rebuilt is value or (rebuilt == value and getattr(rebuilt, "tzinfo", 0) == getattr(value, "tzinfo", 0))


def test_dtypes_without_a_word_for_them_become_text_and_a_note():
    frame = pd.DataFrame({"p": pd.period_range("2026-01", periods=2, freq="M"), "i": pd.interval_range(0, 2)})
    encoded = guest.encode_results({"x": frame})
    rebuilt = decoder.decode(encoded.document, encoded.blobs)["x"]
    assert rebuilt["p"].tolist() == ["2026-01", "2026-02"]
    assert [problem.split(",")[0] for problem in encoded.problems] == [
        "results['x']['p'] has the dtype period[M]",
        "results['x']['i'] has the dtype interval[int64",
    ]


def test_subclasses_are_noted():
    class Special(pd.DataFrame):
        pass

    class Quantity(np.ndarray):
        pass

    encoded = guest.encode_results({"f": Special({"a": [1]}), "q": np.arange(3).view(Quantity)})
    rebuilt = decoder.decode(encoded.document, encoded.blobs)
    assert type(rebuilt["f"]) is pd.DataFrame
    assert rebuilt["q"].tolist() == [0, 1, 2]
    assert len(encoded.problems) == 2


BLOCKED = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import json
from osprey_executor.results import decode, encode
from osprey_executor.results._claims import ArrayClaim, FrameClaim
document, blobs = json.load(sys.stdin)
blobs = [bytes.fromhex(blob) for blob in blobs]
value = decode(document, blobs)
again = encode(value)
assert [bytes(b) for b in again[1]] == blobs, "a claim is encoded as it came"
assert decode(json.loads(json.dumps(again[0])), blobs) == value
print({{name: type(item).__name__ for name, item in value.items()}})
"""


@pytest.mark.parametrize(
    ("blocked", "told"),
    [
        (["pandas"], {"a": "ndarray", "o": "ndarray", "f": "FrameClaim", "n": "float64"}),
        (["numpy", "pandas"], {"a": "ArrayClaim", "o": "ArrayClaim", "f": "FrameClaim", "n": "float"}),
    ],
)
def test_claims_stand_in_where_libraries_are_missing(blocked, told):
    value = {"a": np.arange(3), "o": np.array([1, None]), "f": pd.DataFrame({"x": [1, 2]}), "n": np.float64(1)}
    encoded = guest.encode_results(value)
    sent = json.dumps([encoded.document, [bytes(blob).hex() for blob in encoded.blobs]])
    code = BLOCKED.format(blocked=blocked)
    if "numpy" not in blocked:
        code = code.replace("assert decode(json.loads(json.dumps(again[0])), blobs) == value\n", "")
    ran = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    assert ran.stdout.strip() == str(told)
    assert {ArrayClaim.__name__, FrameClaim.__name__} >= {kind for kind in told.values() if kind.endswith("Claim")}
