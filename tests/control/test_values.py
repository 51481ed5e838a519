"""What may be written: finite, of the right type, and within what the channel can hold."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import ChannelKind, Sample
from osprey_executor.control.broker._values import UnfitValue, fitted, plain_value, shown

NUMBER = Sample(channel="N", value=0.0)
WHOLE = Sample(channel="I", value=0, dtype="i4")
SINGLE = Sample(channel="F", value=0.0, dtype="f4")
STATE = Sample(channel="E", value="Off", kind=ChannelKind.ENUM, dtype="enum", labels=("Off", "On"))
TEXT = Sample(channel="S", value="", kind=ChannelKind.TEXT, dtype="string")
ROW = Sample(channel="W", value=np.zeros(4), kind=ChannelKind.ARRAY, count=4)
BYTES = Sample(channel="B", value=np.zeros(4), kind=ChannelKind.ARRAY, dtype="u1", count=4)


class Liar(float):
    """A number that shows another face each time."""

    def __float__(self) -> float:
        return 99.0

    def __repr__(self) -> str:
        return "\x1b[2J1.0"


def sent(value: Any, sample: Sample) -> Any:
    return fitted(plain_value(value), sample)


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1), np.float32(1), np.int16(1), np.array(1.0)])
def test_numbers(value: Any) -> None:
    assert sent(value, NUMBER) == 1.0
    assert type(sent(value, NUMBER)) is float


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float64("nan"),
        np.array(math.nan),
        True,
        np.bool_(True),
        np.array(True),
        [99],
        [1.0],
        (1,),
        np.array([1.0]),
        "1",
        b"1",
        1 + 0j,
        None,
        {},
        {"VAL": 1},
        10**400,
        datetime(2026, 1, 1, tzinfo=UTC),
        np.datetime64("2026-01-01"),
        np.array([1, "x"], dtype=object),
        float,
    ],
)
def test_not_a_number(value: Any) -> None:
    with pytest.raises(UnfitValue):
        sent(value, NUMBER)


def test_a_number_is_taken_at_its_word_once() -> None:
    assert math.isfinite(sent(Liar(1.0), NUMBER))
    assert type(sent(Liar(1.0), NUMBER)) is float


@pytest.mark.parametrize(("value", "sample"), [(3.0, WHOLE), (-(2**31), WHOLE), (1e38, SINGLE)])
def test_fits_the_type(value: float, sample: Sample) -> None:
    assert sent(value, sample) == value


@pytest.mark.parametrize(("value", "sample"), [(1.5, WHOLE), (2**31, WHOLE), (1e39, SINGLE), (256, BYTES)])
def test_does_not_fit_the_type(value: float, sample: Sample) -> None:
    with pytest.raises(UnfitValue):
        sent(value, sample)


@pytest.mark.parametrize(("value", "number"), [("On", 1), ("Off", 0), (1, 1), (1.0, 1), (np.int8(0), 0)])
def test_states(value: Any, number: int) -> None:
    assert sent(value, STATE) == number


@pytest.mark.parametrize("value", ["on", "", "1", 2, -1, 0.5, True, [1]])
def test_no_such_state(value: Any) -> None:
    with pytest.raises(UnfitValue):
        sent(value, STATE)


def test_texts() -> None:
    assert sent("run 7", TEXT) == "run 7"


@pytest.mark.parametrize("value", ["a\x00b", "\x1b[2J", "a\nb", "x" * 40, "é" * 20, "\u202ex", "\ud800", 1, [1]])
def test_not_a_plain_text(value: Any) -> None:
    with pytest.raises(UnfitValue):
        sent(value, TEXT)


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0], dtype="f4")])
def test_rows(value: Any) -> None:
    assert sent(value, ROW).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "value",
    [
        [],
        [1, math.nan],
        np.array([math.inf]),
        [True],
        ["1"],
        [[1], [2]],
        np.zeros((2, 2)),
        np.zeros(5),
        np.zeros(0),
        np.array([True]),
        np.array(["a"]),
        np.array([1j]),
        1.0,
    ],
)
def test_not_a_row(value: Any) -> None:
    with pytest.raises(UnfitValue):
        sent(value, ROW)


def test_a_row_is_copied() -> None:
    given = np.array([1.0, 2.0])
    taken = sent(given, ROW)
    given[0] = 99.0
    assert taken.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "value", ["\x1b[2J" * 100, Liar(1), np.zeros((100, 100)), {"a": "\u202e" * 999}, [[[[[[1]]]]]]]
)
def test_shown_is_short_and_plain(value: Any) -> None:
    text = shown(value)
    assert len(text) <= 120
    assert text.isprintable()
