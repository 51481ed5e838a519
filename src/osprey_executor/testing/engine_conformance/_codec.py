"""Values cross into the sandbox and back, and stay what they were."""

from __future__ import annotations

import importlib
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from osprey_executor.testing.engine_conformance._bench import Bench, told

VALUES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": -7,
    "large-int": 2**200,
    "float": 0.1,
    "small-float": 5e-324,
    "infinity": [math.inf, -math.inf],
    "complex": 1 - 2j,
    "text": "é 日本 \x1b[31m \u202e \0",
    "lone-surrogate": "\ud800",
    "bytes": bytes(range(256)),
    "tuple": (1, (2, "x")),
    "set": {1, 2},
    "nested": {"a": [{"b": [1, {"c": None}]}], "": 0, "$type": "mine"},
    "keys-that-are-no-text": {1: "a", (2, 3): "b", None: "c"},
    "datetime": datetime(2024, 7, 1, 12, 30, 15, 123456),
    "datetime-utc": datetime(2024, 7, 1, tzinfo=UTC),
    "datetime-zone": datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    "date": date(2024, 2, 29),
    "time": time(23, 59, 59),
    "timedelta": timedelta(days=-1, microseconds=3),
    "decimal": Decimal("1.10"),
    "fraction": Fraction(1, 3),
    "path": PurePosixPath("a/b c"),
    "many-floats": [number / 7 for number in range(10_000)],
    "long-text": "x" * 1_000_000,
}
ARRAYS = {
    "float": "numpy.array([1.5, numpy.nan, -numpy.inf])",
    "float32": "numpy.linspace(0, 1, 7, dtype='float32')",
    "big-endian": "numpy.arange(5, dtype='>i2')",
    "complex": "numpy.array([[1 + 2j], [3]])",
    "fortran": "numpy.asfortranarray(numpy.arange(6).reshape(2, 3))",
    "bool": "numpy.array([True, False])",
    "empty": "numpy.zeros((0, 3))",
    "scalar": "numpy.float32(0.1)",
    "times": "numpy.array(['2024-01-01', 'NaT'], dtype='M8[ns]')",
    "text": "numpy.array(['é', 'xyz'])",
    "records": "numpy.array([(1, 2.5)], dtype=[('a', 'i4'), ('b', 'f8')])",
}
FRAMES = {
    "plain": "pandas.DataFrame({'a': [1, 2], 'b': [0.5, float('nan')], 'c': ['x', None]})",
    "zones": "pandas.DataFrame({'t': pandas.date_range('2024-03-30', periods=3, tz='Europe/Berlin')})",
    "index": "pandas.DataFrame({'a': [1, 2]}, index=pandas.MultiIndex.from_tuples([('x', 1), ('y', 2)]))",
    "categories": "pandas.DataFrame({'a': pandas.Categorical(['x', 'y', 'x'])})",
    "empty": "pandas.DataFrame()",
}


class TestCodec:
    """Through `context` and back through `results`."""

    @pytest.mark.parametrize("name", VALUES)
    def test_a_value_goes_in_and_comes_back(self, bench: Bench, name: str) -> None:
        back = bench.results("results = {'back': context.value}", context={"value": VALUES[name]})["back"]
        assert back == VALUES[name]
        assert type(back) is type(VALUES[name])

    def test_a_value_is_inside_what_it_is_outside(self, bench: Bench) -> None:
        """What comes back unchanged could have been text all the way."""
        code = """
results = {name: type(value).__name__ for name, value in context["values"].items()}
for name, kind in list(results.items()):
    if kind == "Context" and isinstance(context["values"][name], dict): results[name] = "dict"
"""
        expected = {name: type(value).__name__ for name, value in VALUES.items()}
        assert bench.results(code, context={"values": VALUES}) == expected

    def test_not_a_number(self, bench: Bench) -> None:
        back = bench.results("results = {'back': [context.value, float('nan')]}", context={"value": math.nan})["back"]
        assert all(map(math.isnan, back))

    def test_zone_and_fold_stay(self, bench: Bench) -> None:
        back = bench.results("results = {'t': context.t}", context={"t": VALUES["datetime-zone"]})["t"]
        assert (back.isoformat(), back.fold, str(back.tzinfo)) == ("2024-10-27T02:30:00+01:00", 1, "Europe/Berlin")

    def test_context_is_found_by_name_by_item_and_in_the_runtime(self, bench: Bench) -> None:
        code = """
from osprey_executor import runtime
results = {"same": context.a.b is context["a"]["b"] is runtime.context.a.b, "b": context.a.b}
"""
        assert bench.results(code, context={"a": {"b": [1]}}) == {"same": True, "b": [1]}

    @pytest.mark.parametrize("name", ARRAYS)
    def test_arrays(self, bench: Bench, name: str) -> None:
        code = f"import numpy\nresults = {{'made': {ARRAYS[name]}, 'back': context.get('given')}}"
        if "numpy" not in bench.expected.packages:
            assert "numpy" in told(bench.run(code))
            return
        numpy: Any = importlib.import_module("numpy")
        given = eval(ARRAYS[name], {"numpy": numpy})  # noqa: S307 - a table of this module
        results = bench.results(code, context={"given": given})
        for found in (results["made"], results["back"]):
            assert type(found) is type(given)
            assert found.dtype == given.dtype
            assert found.shape == given.shape
            assert found.tobytes() == given.tobytes()

    @pytest.mark.parametrize("name", FRAMES)
    def test_frames(self, bench: Bench, name: str) -> None:
        code = f"import pandas\nresults = {{'made': {FRAMES[name]}, 'back': context.get('given')}}"
        if "pandas" not in bench.expected.packages:
            assert "pandas" in told(bench.run(code))
            return
        pandas: Any = importlib.import_module("pandas")
        given = eval(FRAMES[name], {"pandas": pandas})  # noqa: S307 - a table of this module
        results = bench.results(code, context={"given": given})
        for found in (results["made"], results["back"]):
            pandas.testing.assert_frame_equal(found, given)

    def test_a_large_array_crosses_whole(self, bench: Bench) -> None:
        code = "import numpy\nresults = {'a': numpy.arange(4 << 20, dtype='f8')}"
        outcome = bench.run(code)
        if "numpy" in bench.expected.packages:
            assert outcome.results["a"].sum() == sum(range(4 << 20))
        else:
            assert "numpy" in told(outcome)

    def test_what_was_kept_is_no_code(self, bench: Bench) -> None:
        """A class of the program comes as plain data: nothing of it is rebuilt, or run, outside."""
        code = """
import dataclasses, os
@dataclasses.dataclass
class Bomb:
    x: int
    def __reduce__(self): return (os.system, ("true",))
results = {"bomb": Bomb(1), "list": type("L", (list,), {"__iter__": lambda self: 1 / 0})([1, 2])}
"""
        found = bench.results(code)
        assert found["bomb"] == {"x": 1}
        assert type(cast(object, found["list"])) is list
        assert found["list"] == [1, 2]
