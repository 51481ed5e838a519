"""Results for other programs: strict JSON, whatever they hold."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import fractions
import json
import pathlib

import hypothesis.strategies as st
import numpy as np
import pandas as pd
from hypothesis import given, settings

from osprey_executor.results import to_json
from osprey_executor.results._claims import ArrayClaim, FrameClaim, OpaqueClaim


@dataclasses.dataclass
class Point:
    x: float


def test_small_values_are_written_out():
    value = {
        "numbers": [1, 2.5, True, None, float("nan"), float("inf"), -float("inf")],
        "numpy": [np.float64(1.5), np.int8(3), np.bool_(True), np.str_("s"), np.float32("nan")],
        "array": np.array([[1.0, np.nan], [3.0, -np.inf]]),
        "tuple": (1, {2}),
        "time": [dt.datetime(2026, 1, 1), dt.date(2026, 1, 1), pd.Timestamp("2026"), np.datetime64("2026-01-01")],
        "text": "a\ud800",
        1: "key",
        "path": pathlib.PurePosixPath("a/b"),
        "exact": [decimal.Decimal("1.50"), fractions.Fraction(1, 3), 2**70],
        "point": Point(1.0),
        "nothing": [pd.NaT, pd.NA],
    }
    assert to_json(value) == {
        "numbers": [1, 2.5, True, None, "NaN", "Infinity", "-Infinity"],
        "numpy": [1.5, 3, True, "s", "NaN"],
        "array": [[1.0, "NaN"], [3.0, "-Infinity"]],
        "tuple": [1, [2]],
        "time": ["2026-01-01T00:00:00", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01"],
        "text": "a\\ud800",
        "1": "key",
        "path": "a/b",
        "exact": ["1.50", "1/3", 2**70],
        "point": {"x": 1.0},
        "nothing": ["NaT", "NA"],
    }


def test_tables():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])
    assert to_json(frame) == {
        "$type": "DataFrame",
        "shape": [2, 2],
        "columns": {"a": [1, 2], "b": ["x", "NaN"]},
        "index": ["p", "q"],
    }
    same = to_json(pd.DataFrame([[1, 2]], columns=["c", "c"]))
    assert same["columns"] == {"c": [1], "c (2)": [2]}
    series = to_json(pd.Series([1.5], name="s"))
    assert series == {"$type": "Series", "name": "s", "dtype": "float64", "values": [1.5], "index": [0]}


def test_large_values_are_summarised():
    array = to_json(np.arange(5000.0))
    assert array == {
        "$type": "ndarray",
        "dtype": "float64",
        "shape": [5000],
        "first": [0.0, 1.0, 2.0, 3.0, 4.0],
        "summary": {"min": 0.0, "max": 4999.0, "mean": 2499.5},
    }
    frame = to_json(pd.DataFrame({"a": np.full(5000, np.nan), "b": ["x"] * 5000}))
    assert frame["columns"]["a"]["not_finite"] == 5000
    assert frame["columns"]["b"] == {"dtype": "str", "shape": [5000], "first": ["x"] * 5}
    assert to_json(range(10**18)) == {"$type": "range", "start": 0, "stop": 10**18, "step": 1}
    assert to_json(b"x" * 5000) == {"$type": "bytes", "size": 5000}
    assert to_json(pd.Series(["a"] * 5000))["shape"] == [5000]
    assert "index" not in to_json(pd.Series(["a"] * 5000))


def test_what_has_no_word_in_json():
    assert to_json(1 + 2j) == {"$type": "complex", "real": 1.0, "imag": 2.0}
    assert to_json(dt.timedelta(minutes=1)) == {"$type": "timedelta", "seconds": 60.0}
    assert to_json(b"ab") == {"$type": "bytes", "size": 2, "base64": "YWI="}
    assert to_json(10**5000)["$type"] == "int"
    assert to_json(OpaqueClaim("f", "<f>")) == {"$type": "repr", "class": "f", "text": "<f>"}
    assert to_json(ArrayClaim("<f8", (3,), b"")) == {"$type": "ndarray", "dtype": "<f8", "shape": [3]}
    assert to_json(FrameClaim("Series", {"name": "x"})) == {"$type": "Series", "name": "x"}
    assert to_json(object())["$type"] == "repr"


ODD = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(st.characters(exclude_categories=())),
        st.binary(max_size=5),
        st.datetimes(),
        st.decimals(),
        st.builds(object),
        st.builds(np.float16, st.floats(width=16)),
        st.just(np.array(["a", None], dtype=object)),
        st.just(np.zeros((0, 3))),
        st.just(np.longdouble(1)),
        st.just(pd.Series([1, None], dtype="Int64")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers()), inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
    ),
)


@settings(deadline=None, max_examples=300)
@given(ODD)
def test_always_strict_json(value):
    json.dumps(to_json(value), allow_nan=False).encode("utf-8")


def test_hostile_depth_ends():
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    assert "too deep" in json.dumps(to_json(deep))
