"""Which rule of a site fits, and which rules could never be."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osprey_executor.approval import Situation, must_ask, must_ask_to_write
from osprey_executor.approval.rules import first_match, in_time, may_overlap
from osprey_executor.config import Config, RuleConfig, TimeConfig, config_from
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import AnalysisReport, ControlSystemReport, Effect, IsolationReport, Role, Verdict

MONDAY = datetime(2026, 11, 23, 15, 12, tzinfo=UTC)


def at(**changes: Any) -> Situation:
    """A contained program of an agent that has tried a write to a real corrector."""
    known: dict[str, Any] = {
        "effects": frozenset((Effect.CONTROL_READ, Effect.CONTROL_WRITE)),
        "channels": ("SR:HCM:01:SP",),
        "isolation": IsolationReport(level="full", engine="local", proven=True),
        "control": ControlSystemReport(type="epics", real=True, writes_enabled=True),
        "requester": "agent-7",
        "roles": frozenset((Role.REQUESTER,)),
        "now": MONDAY,
    }
    return Situation(**(known | changes))


def rule(**fields: Any) -> RuleConfig:
    return RuleConfig(**({"outcome": "ask_two"} | fields))


SIMULATED = ControlSystemReport(type="simulator", writes_enabled=True)
UNPROVEN = IsolationReport(level="restricted", engine="container")


@pytest.mark.parametrize(
    ("fields", "fitting", "other"),
    [
        ({"effects": ["control_write"]}, {}, {"effects": frozenset((Effect.CONTROL_READ,))}),
        ({"channels": ["SR:HCM:*:SP"]}, {}, {"channels": ("SR:VCM:01:SP",)}),
        ({"channels": "SR:HCM:01:SP"}, {"channels": ("A", "SR:HCM:01:SP.VAL")}, {"channels": ("SR:HCM:01:SP.DRVH",)}),
        ({"channels": ["SR:HCM:*"]}, {"channels": ("SR:*:SP",)}, {"channels": ()}),
        ({"channels": ["SR:HCM:*"]}, {"channels": ("*",)}, {"channels": ("LI:*",)}),
        ({"engine": "local"}, {}, {"isolation": UNPROVEN}),
        ({"isolation": "full"}, {}, {"isolation": UNPROVEN}),
        ({"proven": False}, {"isolation": UNPROVEN}, {}),
        ({"requester": "agent-*"}, {}, {"requester": "anna"}),
        ({"role": ["requester", "viewer"]}, {}, {"roles": frozenset()}),
        ({"time": {"days": ["mon"]}}, {}, {"now": MONDAY.replace(day=24)}),
        ({"connector": "real"}, {}, {"control": SIMULATED}),
        ({"connector": ["epics", "mock"]}, {}, {"control": SIMULATED}),
        ({"requester": "agent-*", "connector": "real"}, {}, {"requester": "anna"}),
    ],
)
def test_each_condition(fields: dict[str, Any], fitting: dict[str, Any], other: dict[str, Any]) -> None:
    match = first_match([rule(**fields)], at(**fitting))
    assert match is not None
    assert match.number == 1
    assert first_match([rule(**fields)], at(**other)) is None


def test_the_first_that_fits_counts() -> None:
    rules = [rule(requester="anna", outcome="deny"), rule(outcome="ask"), rule(outcome="deny")]
    match = first_match(rules, at())
    assert match is not None
    assert (match.number, match.rule.outcome) == (2, "ask")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"connector": "real"},
        {"connector": ["mock", "epics"]},
        {"effects": ["control_read"]},
        {"proven": True},
        {"proven": True, "effects": ["control_read", "control_write"]},
        {"proven": False, "effects": ["control_read"]},
        {"channels": ["SR:HCM:*"]},
    ],
)
def test_what_could_let_writes_to_a_real_machine_pass_is_no_configuration(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="could let writes to a real machine pass"):
        config_from({"approval": {"rules": [fields | {"outcome": "allow"}]}})


def test_a_rule_that_allows_never_fits_a_write_to_a_real_machine_even_if_the_configuration_let_it_by() -> None:
    forced = RuleConfig.model_construct(**{**rule().model_dump(), "outcome": "allow"})
    assert first_match([forced], at()) is None
    assert first_match([forced], at(effects=frozenset(), channels=(), isolation=UNPROVEN)) is None
    assert first_match([forced], at(control=SIMULATED)) is not None


def test_a_rule_that_allows_must_cover_all_that_the_program_does() -> None:
    reads = rule(outcome="allow", proven=True, effects=["control_read"])
    only = frozenset((Effect.CONTROL_READ,))
    assert first_match([reads], at(effects=only, channels=()))
    assert first_match([reads], at(effects=only | {Effect.NETWORK}, channels=())) is None
    some = rule(outcome="allow", connector="simulator", channels=["SR:HCM:*"])
    assert first_match([some], at(control=SIMULATED, channels=("SR:HCM:1", "SR:HCM:2")))
    assert first_match([some], at(control=SIMULATED, channels=("SR:HCM:1", "SR:VCM:1"))) is None
    assert first_match([some], at(control=SIMULATED, channels=("SR:HCM:*",))) is None


def config(*rules: dict[str, Any], **approval: Any) -> Config:
    return config_from({"approval": {"rules": list(rules), **approval}})


def test_rules_about_writes_wait_for_the_first_write_where_the_containment_is_proven() -> None:
    two = config({"effects": "control_write", "outcome": "ask_two"}, mode="all_code")
    report = AnalysisReport(verdict=Verdict.ASK, reason="it writes")
    assert must_ask(two, report, at()).persons == 1
    assert must_ask(two, report, at(isolation=UNPROVEN)).persons == 2
    asked = must_ask_to_write(two, at())
    assert (asked.ask, asked.persons) == (True, 2)
    assert "rule 1 of approval.rules" in asked.reason


def test_outcomes_and_what_follows_without_a_rule() -> None:
    report = AnalysisReport(verdict=Verdict.ASK, reason="it writes")
    denied = must_ask(config({"requester": "agent-*", "outcome": "deny", "reason": "no agents"}), report, at())
    assert (denied.ask, denied.denied) == (False, True)
    assert "no agents" in denied.reason
    asked = must_ask(config({"outcome": "ask", "expiry": 60}), report, at())
    assert (asked.ask, asked.expiry) == (True, 60.0)
    allowed = must_ask(
        config({"connector": "simulator", "outcome": "allow"}, mode="all_code"), report, at(control=SIMULATED)
    )
    assert (allowed.ask, allowed.denied) == (False, False)
    assert must_ask_to_write(config(), at()).persons == 1
    assert must_ask(config(), AnalysisReport(verdict=Verdict.DENY, reason="r"), at()).denied


@pytest.mark.parametrize(
    ("time", "inside", "outside"),
    [
        ({"begins": "08:00", "ends": "16:00"}, ["08:00", "15:59"], ["07:59", "16:00"]),
        ({"begins": "22:00", "ends": "06:00"}, ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
        ({"begins": 22 * 60}, ["22:00"], ["21:59"]),
        ({"days": ["sat"]}, [], ["12:00"]),
        # What began on Sunday evening goes on into this Monday; this Monday evening begins nothing.
        ({"begins": "22:00", "ends": "06:00", "days": ["sun"]}, ["05:59"], ["22:00"]),
    ],
)
def test_parts_of_the_week(time: dict[str, Any], inside: list[str], outside: list[str]) -> None:
    part = TimeConfig(**time, timezone="UTC")
    for clock, there in [*((one, True) for one in inside), *((one, False) for one in outside)]:
        hour, minute = clock.split(":")
        assert in_time(part, MONDAY.replace(hour=int(hour), minute=int(minute))) is there, clock


def test_a_time_zone_counts() -> None:
    part = TimeConfig(begins="16:00", ends="17:00", timezone="Europe/Berlin")
    assert in_time(part, MONDAY)
    assert not in_time(part, MONDAY.replace(month=7)), "there it is summer time"


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "maybe"},
        {"outcome": "ask", "efects": ["control_write"]},
        {"outcome": "ask", "effects": ["anything"]},
        {"outcome": "ask", "time": {"begins": "25:00"}},
        {"outcome": "ask", "time": {"timezone": "Mars/Olympus"}},
        {"outcome": "ask", "time": {"days": ["someday"]}},
        {"outcome": "ask", "expiry": 0},
        {"channels": "X"},
    ],
)
def test_a_rule_that_says_nothing_sure_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"approval\.rules"):
        config_from({"approval": {"rules": [fields]}})
    with pytest.raises(ConfigurationError, match="disabled"):
        config_from({"approval": {"mode": "disabled", "rules": [{"outcome": "ask"}]}})


@given(st.text("ab*", max_size=5), st.text("ab*", max_size=5))
def test_two_patterns_overlap_where_some_name_fits_both(one: str, other: str) -> None:
    from fnmatch import fnmatchcase

    names = ["".join(name) for length in range(6) for name in product("ab", repeat=length)]
    found = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in names)
    if found:
        assert may_overlap(one, other)
    if not may_overlap(one, other):
        assert not found
    if "*" not in one:
        assert may_overlap(one, other) is fnmatchcase(one, other)
