"""What the guest encodes, the host rebuilds exactly; what the host encodes, both do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import typing
import zoneinfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from osprey_executor.errors import ResultsError
from osprey_executor.guest import codec as guest
from osprey_executor.models import Limits
from osprey_executor.results import decoder, encoder
from osprey_executor.results._claims import OpaqueClaim

ZONES = st.sampled_from(
    [None, dt.UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30)), zoneinfo.ZoneInfo("Europe/Berlin")]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**200, max_value=2**400),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.binary(max_size=20),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(timezones=st.sampled_from([None, dt.UTC])),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
    st.just(pathlib.PurePosixPath("a/b c")),
)
KEYS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=()), max_size=5),
    st.binary(max_size=3),
    st.dates(),
    st.tuples(st.integers(), st.text(max_size=2)),
    st.frozensets(st.integers(), max_size=3),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=12,
)


def same(left, right):
    """Compare exactly: types, NaN, the sign of zero, the order of dicts."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left.hex() == right.hex() if not math.isnan(left) else math.isnan(right)
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, c) and same(b, d) for (a, b), (c, d) in zip(left.items(), right.items(), strict=True)
        )
    if isinstance(left, decimal.Decimal):
        return str(left) == str(right)
    if isinstance(left, dt.datetime | dt.time):
        return left.isoformat() == right.isoformat() and left.fold == right.fold
    return left == right


def over_the_wire(document, blobs):
    """Return the parsed document and the blobs as a host receives them."""
    text = json.dumps(document, allow_nan=False)
    return decoder.parse_document(text.encode("ascii")), [bytearray(blob) for blob in blobs]


def from_guest(value):
    encoded = guest.encode_results({"value": value})
    return decoder.decode(*over_the_wire(encoded.document, encoded.blobs))["value"], encoded.problems


@settings(deadline=None, max_examples=300)
@given(VALUES)
def test_guest_to_host(value):
    rebuilt, problems = from_guest(value)
    assert problems == []
    assert same(value, rebuilt)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_host_to_guest_and_host(value):
    document, blobs = encoder.encode(value)
    parsed, arrived = over_the_wire(document, blobs)
    assert same(value, guest.decode(parsed, [bytes(blob) for blob in arrived]))
    assert same(value, decoder.decode(parsed, arrived))


@pytest.mark.parametrize(
    "value",
    [
        [0.1 * n for n in range(1000)],
        [float("nan"), -0.0, math.inf] * 40,
        list(range(-500, 500)),
        [2**63, *range(100)],
        [True, *range(100)],
        ["a\u00e4\U0001f600", None, ""] * 40,
        ["\ud800", "\ud83d\ude00"] * 40,
        "x" * 100_000,
        b"\0" * 5000,
        [[1.5] * 100] * 3,
        10**5000,
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "10**5000",
)
def test_bulk_values_keep_their_types(value):
    rebuilt, problems = from_guest(value)
    assert problems == []
    assert same(value, rebuilt)
    document, blobs = encoder.encode(value)
    assert same(value, decoder.decode(*over_the_wire(document, blobs)))


def test_long_lists_of_numbers_do_not_fill_the_document():
    encoded = guest.encode_results({"x": [0.1] * 1_000_000, "y": ["name"] * 100_000})
    assert len(json.dumps(encoded.document)) < 200
    assert decoder.decode(encoded.document, encoded.blobs)["x"][-1] == 0.1


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(typing.NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Fit:
    slope: float
    points: list


def test_classes_of_the_program_become_plain_data():
    rebuilt, problems = from_guest([Colour.RED, Level.HIGH, Point(1, 2.5), Fit(0.5, [Point(3, 4.0)])])
    assert rebuilt == ["red", 3, {"x": 1, "y": 2.5}, {"slope": 0.5, "points": [{"x": 3, "y": 4.0}]}]
    assert problems == [
        "results['value'][2] is a Point, kept as a dict",
        "results['value'][3] is a Fit, kept as a dict",
        "results['value'][3]['points'][0] is a Point, kept as a dict",
    ]


class Liar(dict):
    """Says one thing and holds another."""

    def items(self):
        raise KeyboardInterrupt

    def __iter__(self):
        raise SystemExit

    def __len__(self):
        return -1

    __class__ = property(lambda self: 1 / 0)


class Text(str):
    def __str__(self):
        raise ValueError

    encode = __str__


class Number(float):
    def __float__(self):
        raise ValueError

    is_integer = __float__


class Mute:
    def __repr__(self):
        raise RuntimeError

    def __getattr__(self, name):
        raise RuntimeError


class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError

    def __subclasscheck__(cls, other):
        raise RuntimeError


class Odd(metaclass=Meta):
    pass


def test_subclasses_are_read_through_their_base():
    rebuilt, problems = from_guest([Liar(a=1), Text("t"), Number(2.5), fractions.Fraction(1, 3)])
    assert rebuilt == [{"a": 1}, "t", 2.5, fractions.Fraction(1, 3)]
    assert problems == []


def cycle():
    made: list = []
    made.append({"again": made})
    return made


def deep():
    made: list = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (cycle(), "contains itself"),
        (deep(), "deep"),
        (Mute(), "Mute"),
        (Odd(), ""),
        (lambda: 1, "function"),
        (object, "type"),
        (iter([]), "list_iterator"),
        ({Point(1, 2.0): 1, Fit: 2}, "type"),
    ],
    ids=["cycle", "deep", "mute", "odd", "function", "class", "iterator", "keys"],
)
def test_what_is_not_data_becomes_its_text_and_a_note(value, told):
    rebuilt, problems = from_guest({"good": 1, "bad": value})
    assert rebuilt["good"] == 1
    assert len(problems) == 1
    assert problems[0].startswith("results['value']['bad']")
    assert told in problems[0]


def test_an_opaque_value_is_told_apart_from_text():
    rebuilt, _ = from_guest(lambda: 1)
    assert isinstance(rebuilt, OpaqueClaim)
    assert rebuilt.kind == "function"


def test_names_of_results_become_text():
    encoded = guest.encode_results({1: "a", "\ud800": "b", "$type": "c"})
    results = decoder.decode_results(json.dumps(encoded.document).encode(), encoded.blobs, limits=Limits())
    assert results == {"1": "a", "\\ud800": "b", "$type": "c"}
    assert len(encoded.problems) == 2


def test_one_result_too_large_does_not_cost_the_others():
    limits = {"results": 100_000, "document": 10_000}
    results = {"a": 1, "blob": b"x" * 200_000, "nested": [[i, None] for i in range(10_000)], "z": 2}
    encoded = guest.encode_results(results, limits)
    rebuilt = decoder.decode(encoded.document, encoded.blobs, limits=Limits(results=100_000))
    assert (rebuilt["a"], rebuilt["z"]) == (1, 2)
    assert isinstance(rebuilt["blob"], OpaqueClaim)
    assert isinstance(rebuilt["nested"], OpaqueClaim)
    assert "97.66 KiB in all (limits.results)" in encoded.problems[0]
    assert "nested values" in encoded.problems[1]


def test_shared_references_do_not_explode():
    value: list = []
    for _ in range(50):
        value = [value, value]
    encoded = guest.encode_results({"x": value}, {"results": 10**6, "document": 10**5})
    assert "kept only as text" in encoded.problems[-1]


@settings(deadline=None, max_examples=100)
@given(
    st.text(st.characters(exclude_categories=()) | st.sampled_from("[{\U0001f600")),
    st.integers(),
    st.floats(),
    st.binary(max_size=2000),
)
def test_the_size_is_never_counted_too_small(text, number, real, data):
    from osprey_executor.guest.encoding import Encoder

    counting = Encoder("x")
    document = counting.encode({"a": [text, number, real, data, {text: (text, {number, real})}]})
    told = json.dumps(document, separators=(",", ":"))
    assert len(told) <= counting._text
    assert (told.count("[") + told.count("{")) * 28 <= counting._text


def test_the_host_refuses_to_encode_what_is_not_data():
    with pytest.raises(ResultsError, match=r"value\['a'\]\[1\] is a object"):
        encoder.encode({"a": [1, object()]})
    with pytest.raises(ResultsError, match="contains itself"):
        encoder.encode(cycle())
    with pytest.raises(ResultsError, match="deep"):
        encoder.encode(deep())


def test_lists_that_would_cost_far_more_than_their_bytes_are_left_out():
    encoded = guest.encode_results({"a": [0.5] * 1_500_000, "b": ["x"] * 600_000, "c": [1] * 400_000})
    rebuilt = decoder.decode(encoded.document, encoded.blobs)
    assert [type(rebuilt[name]) for name in "abc"] == [list, OpaqueClaim, list]
    assert "more than 2000000 elements; hand over numpy arrays" in encoded.problems[0]
    forged = {"x": [{"$type": "floats", "blob": n} for n in range(3)]}
    with pytest.raises(ResultsError, match="more than 2000000 elements"):
        decoder.decode(forged, [bytes(8 * 700_000)] * 3)
