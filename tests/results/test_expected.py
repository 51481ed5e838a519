"""`expected_results` as Osprey documents it: what is missing or mistyped is told with its path."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from osprey_executor.results import check_expected

GOOD = {
    "mean": 1.5,
    "count": 3,
    "name": "orbit",
    "flag": True,
    "stats": {"rms": 0.5, "n": 2},
    "array": np.arange(3),
    "scalar": np.float32(2),
    "big": np.int64(2),
    "tuple": (1, 2),
    "table": pd.DataFrame({"a": [1]}),
    "series": pd.Series([1]),
    "when": dt.datetime(2026, 1, 1),
    "nothing": None,
    "zero": np.array(1.5),
}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("mean", "float"),
        ("mean", "<float>"),
        ("mean", " Float "),
        ("mean", float),
        ("count", "int"),
        ("count", "float"),
        ("count", "number"),
        ("name", "str"),
        ("name", "string"),
        ("flag", "bool"),
        ("stats", "dict"),
        ("stats", "<dict>"),
        ("stats", {"rms": "float", "n": "int"}),
        ("stats", {}),
        ("array", "list"),
        ("array", "array"),
        ("array", "np.ndarray"),
        ("array", "list[float]"),
        ("array", ["float"]),
        ("scalar", "float"),
        ("big", "int"),
        ("big", "float"),
        ("zero", "float"),
        ("tuple", "list"),
        ("table", "DataFrame"),
        ("table", "pd.DataFrame"),
        ("series", "list"),
        ("series", "series"),
        ("when", "datetime"),
        ("nothing", "float | None"),
        ("mean", "float or None"),
        ("mean", "<any>"),
        ("mean", "rms of the orbit in mm"),
        ("stats", "see above"),
        ("mean", 5),
        ("mean", None),
    ],
    ids=str,
)
def test_what_fits_is_no_problem(name, word):
    assert check_expected({name: word}, GOOD) == []


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"rms": "float"}, "results['rms'] is missing (float); there is: 'mean'"),
        ({"mean": "int"}, "results['mean'] must be of type int, not float"),
        ({"flag": "int"}, "results['flag'] must be of type int, not bool"),
        ({"flag": "float"}, "results['flag'] must be of type float, not bool"),
        ({"name": "float"}, "results['name'] must be of type float, not str"),
        ({"nothing": "<dict>"}, "results['nothing'] must be of type <dict>, not None"),
        ({"array": "float"}, "results['array'] must be of type float, not ndarray"),
        ({"stats": {"rms": "str"}}, "results['stats']['rms'] must be of type str, not float"),
        (
            {"stats": {"peak": {"x": "int"}}},
            "results['stats']['peak'] is missing (a dict with 'x'); there is: 'rms', 'n'",
        ),
        ({"mean": {"x": "int"}}, "results['mean'] must be a dict, not float"),
        ({"mean": ["float"]}, "results['mean'] must be a list, not float"),
        ({"mean": "int | None"}, "results['mean'] must be of type int | None, not float"),
        ({"stats": {"<name>": "str"}}, "results['stats']['rms'] must be of type str"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told_with_its_path(expected, problem):
    assert check_expected(expected, GOOD)[0].startswith(problem)


def test_everything_that_is_wrong_is_told_at_once():
    assert len(check_expected({"a": "float", "mean": "str", "stats": {"b": "int"}}, GOOD)) == 3


def test_nothing_expected_nothing_asked():
    assert check_expected({}, {}) == []
