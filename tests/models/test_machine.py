"""Which machine and which channels two runs mean: in doubt the same."""

from __future__ import annotations

import pytest

from osprey_executor.models import ControlSystemReport, common_channel, machine_of, same_machine


def real(kind: str, *addresses: str) -> str:
    return machine_of(ControlSystemReport(type=kind, real=True, addresses=addresses), "this connection")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (real("epics", "10.0.0.1:5064"), real("epics", "10.0.0.1:5064"), True),
        (real("epics", "10.0.0.1", "10.0.0.2"), real("epics", "10.0.0.2", "10.0.0.1"), True),
        (real("epics", "10.0.0.1", "10.0.0.2"), real("epics", "10.0.0.2"), True),
        (real("epics", "10.0.0.1:5064"), real("pva", "10.0.0.1:5075"), True),
        (real("epics", "GW.lab"), real("epics", "gw.lab:5064"), True),
        (real("epics", "localhost"), real("epics", "127.0.0.1:5064"), True),
        (real("epics", "[::1]:5064"), real("epics", "127.0.0.1"), True),
        (real("epics", "fe80::1"), real("epics", "[fe80::1]:5064"), True),
        (real("epics", "10.0.0.1"), real("epics", "10.0.0.2"), False),
        (real("epics", "10.0.0.1"), real("doocs", "10.0.0.1"), False),
        (real("doocs", "settings 0123"), real("doocs", "settings 0123"), True),
        (real("doocs", "settings 0123"), real("doocs", "settings 4567"), False),
    ],
)
def test_a_real_machine_is_its_hosts(one: str, other: str, same: bool) -> None:
    assert same_machine(one, other) is same_machine(other, one) is same


def test_a_simulated_machine_is_its_connection() -> None:
    report = ControlSystemReport(type="simulator")
    assert same_machine(machine_of(report, "a"), machine_of(report, "a"))
    assert not same_machine(machine_of(report, "a"), machine_of(report, "b"))


@pytest.mark.parametrize(
    ("ours", "theirs", "common"),
    [
        (["A"], ["B", "A"], "A"),
        (["A"], ["B"], None),
        (["A.VAL"], ["A"], "A.VAL"),
        (["A.DRVH"], ["A"], "A.DRVH"),
        (["*"], ["A"], "*"),
        (["A"], ["*"], "A"),
        (["*"], ["*"], "*"),
        ([], ["*"], None),
    ],
)
def test_channels_that_may_be_one(ours: list[str], theirs: list[str], common: str | None) -> None:
    assert common_channel(ours, theirs) == common
    assert (common_channel(theirs, ours) is None) == (common is None)


def test_many_names_are_compared_at_once() -> None:
    many = [f"A:{number}" for number in range(20_000)]
    assert common_channel(many, [f"B:{number}" for number in range(20_000)]) is None
    assert common_channel(many, [*(f"B:{number}" for number in range(20_000)), "A:19999"]) == "A:19999"
