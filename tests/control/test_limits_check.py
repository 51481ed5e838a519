"""The pure check: what passes keeps every limit, whatever the numbers; each limit refuses, and names itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osprey_executor.control import ChannelKind, Sample
from osprey_executor.control.limits._check import Past, breach_of
from osprey_executor.control.limits._database import Breach, LimitsDatabase
from osprey_executor.control.limits._entry import ChannelLimits
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.models import AlarmSeverity

FINITE = st.floats(min_value=-1e6, max_value=1e6)
POSITIVE = st.floats(min_value=1e-3, max_value=1e6)
MAYBE = st.none() | POSITIVE


def number(value: Any = 0.0, **more: Any) -> Sample:
    return Sample(channel="X", value=value, **more)


def rule(limits: ChannelLimits, value: Any, sample: Sample, past: Past = Past(), now: float = 0.0) -> str | None:  # noqa: B008 - frozen
    breach = breach_of(limits, value, sample, past, now)
    return breach.rule if breach else None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    low=FINITE,
    width=POSITIVE,
    step=MAYBE,
    rate=MAYBE,
    excursion=MAYBE,
    present=FINITE,
    start=FINITE,
    last=FINITE,
    seconds=st.floats(min_value=0.0, max_value=1e4),
    own=st.none() | st.tuples(FINITE, FINITE),
    value=FINITE,
)
def test_what_passes_keeps_every_limit_and_what_is_refused_breaks_one(
    low: float,
    width: float,
    step: float | None,
    rate: float | None,
    excursion: float | None,
    present: float,
    start: float,
    last: float,
    seconds: float,
    own: tuple[float, float] | None,
    value: float,
) -> None:
    high = low + width
    limits = ChannelLimits(min_value=low, max_value=high, max_step=step, max_rate=rate, max_excursion=excursion)
    found = rule(limits, value, number(present, control_limits=own), Past(start, last, 100.0), 100.0 + seconds)
    slack = 1e-9 * max(1.0, abs(value), abs(present), abs(start), abs(last))
    distances = {
        "min_value": low - value,
        "max_value": value - high,
        "ioc_limits": max(own[0] - value, value - own[1]) if own and own[0] < own[1] else -math.inf,
        "max_step": abs(value - present) - step if step is not None else -math.inf,
        "max_excursion": abs(value - start) - excursion if excursion is not None else -math.inf,
        "max_rate": abs(value - last) - rate * seconds if rate is not None else -math.inf,
    }
    if found is None:
        assert all(beyond <= slack for beyond in distances.values()), distances
    else:
        assert distances[found] > 0.0


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.sampled_from([math.nan, math.inf, -math.inf, True, "1", None, [1.0], np.array([1.0]), np.array(1.0)]))
def test_no_strange_value_passes_for_a_number(value: Any) -> None:
    for limits in (ChannelLimits(), ChannelLimits(min_value=-1e9, max_value=1e9)):
        assert rule(limits, value, number()) == "type"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.floats(min_value=-1.0, max_value=1.0), max_size=60))
def test_many_small_steps_never_leave_the_excursion(steps: list[float]) -> None:
    run = RunLimits(database(ChannelLimits(max_step=1.0, max_excursion=2.5)))
    present = 10.0
    for at, step in enumerate(steps):
        if not isinstance(run.verdict("X", present + step, number(present), float(at)), Breach):
            present += step
            run.wrote("X", present, float(at))
        assert abs(present - 10.0) <= 2.5 + 1e-9


def database(limits: ChannelLimits) -> LimitsDatabase:
    return LimitsDatabase({"X": limits}, {}, ChannelLimits(), allow_unlisted=False, skip=False)


def test_canary_without_an_excursion_many_small_steps_go_anywhere() -> None:
    run = RunLimits(database(ChannelLimits(max_step=1.0)))
    for value in range(1, 50):
        assert isinstance(run.verdict("X", float(value), number(value - 1.0), 0.0), ChannelLimits)


def test_the_rate_counts_from_the_last_write_of_the_run() -> None:
    run = RunLimits(database(ChannelLimits(max_rate=2.0)))
    assert isinstance(run.verdict("X", 100.0, number(), 50.0), ChannelLimits)
    run.wrote("X", 100.0, 50.0)
    breach = run.verdict("X", 104.0, number(100.0), 51.0)
    assert isinstance(breach, Breach)
    assert (breach.rule, breach.reason) == (
        "max_rate",
        "a change of 4 1 s after the last write; max_rate 2 a second: wait 1 s more",
    )
    assert isinstance(run.verdict("X", 104.0, number(100.0), 52.0), ChannelLimits)
    assert isinstance(run.verdict("X", 101.0, number(100.0), 49.0), Breach)


def test_a_step_is_what_it_says_whatever_binary_fractions_make_of_it() -> None:
    limits = ChannelLimits(max_step=0.1)
    assert rule(limits, 0.4, number(0.3)) is None
    single = number(float(np.float32(0.1)), dtype="f4")
    assert rule(limits, 0.0, single) is None
    assert rule(limits, 0.4001, number(0.3)) == "max_step"


@pytest.mark.parametrize("own", [None, (0.0, 0.0), (5.0, -5.0), (math.nan, math.nan), (1.0, 1.0)])
def test_unset_limits_of_the_control_system_bound_nothing(own: tuple[float, float] | None) -> None:
    assert rule(ChannelLimits(), 1e9, number(control_limits=own)) is None


@pytest.mark.parametrize("sample", [number(3.0, severity=AlarmSeverity.INVALID), number(math.nan), number("?")])
def test_a_change_from_an_unknown_value_is_refused(sample: Sample) -> None:
    assert rule(ChannelLimits(max_step=1.0), 0.0, sample) == "max_step"
    assert rule(ChannelLimits(max_excursion=1.0), 0.0, sample) == "max_excursion"
    assert rule(ChannelLimits(min_value=-1.0), 0.0, sample) is None


def test_states_by_label_and_by_number() -> None:
    enum = number("Off", kind=ChannelKind.ENUM, dtype="enum", labels=("Off", "Standby", "On"))
    limits = ChannelLimits(states=("Off", 1))
    assert [rule(limits, state, enum) for state in (0, 1, 2)] == [None, None, "states"]
    assert rule(ChannelLimits(max_step=1.0), 2, enum) == "max_step"
    discrete = ChannelLimits(states=(1.0, 2.5))
    assert [rule(discrete, value, number()) for value in (1, 2.5, 2.0)] == [None, None, "states"]
    text = number("a", kind=ChannelKind.TEXT, dtype="string")
    assert [rule(ChannelLimits(states=("run",)), word, text) for word in ("run", "stop")] == [None, "states"]


def test_limits_of_a_number_are_none_of_a_text_or_an_array() -> None:
    text = number("a", kind=ChannelKind.TEXT, dtype="string")
    assert rule(ChannelLimits(max_value=1.0), "b", text) == "type"
    assert rule(ChannelLimits(), "b", text) is None
    row = number(np.zeros(3), kind=ChannelKind.ARRAY, count=3)
    bounded = ChannelLimits(min_value=0.0, max_value=1.0)
    values = [[0.0, 1.0], [0.0, 1.1], [-0.1, 0.0]]
    assert [rule(bounded, np.array(each), row) for each in values] == [None, "max_value", "min_value"]
    assert rule(ChannelLimits(max_step=1.0), np.zeros(3), row) == "type"
    assert rule(ChannelLimits(max_value=1.0), np.array([math.nan]), row) == "max_value"


def test_closed_channels() -> None:
    assert rule(ChannelLimits(writable=False), 0.0, number()) == "writable"
    assert rule(ChannelLimits(readable=False), 0.0, number()) == "readable"
    assert rule(ChannelLimits(read_side_effect=True), 0.0, number()) == "readable"


def test_a_kind_of_channel_that_the_check_does_not_know_is_refused() -> None:
    strange = number().model_copy(update={"kind": "table"})
    assert rule(ChannelLimits(), 0.0, strange) == "type"
