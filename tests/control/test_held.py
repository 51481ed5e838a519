"""The broker asks before each write whether the run may still write alone; and what a journal leaves open."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.control import Broker, MockConnector, effects_of, journal_settlement, looked_at, unsettled_of
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ControlSystemReport, MachineEffects, Reading, Settled, Settlement, Unsettled

Entries = Callable[[], list[dict[str, Any]]]


class Holder:
    """Refuses the channels in `closed`, from its call number `after` on."""

    def __init__(self, *closed: str, after: int = 0) -> None:
        self.closed, self.after = closed, after
        self.asked: list[tuple[str, ...]] = []

    async def __call__(self, channels: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(tuple(channels))
        if len(self.asked) <= self.after:
            return {}
        return {channel: f"{channel} is not held" for channel in channels if channel in self.closed}


async def written(journal: Path, permit: Any, held: Holder, *channels: str) -> MockConnector:
    machine = MockConnector(dict.fromkeys("ABC", 0.0))
    broker = Broker(machine, ControlSystemReport(type="epics", real=True, writes_enabled=True))
    session = broker.session(run_id="r1", permit=permit(), journal=journal, held=held)
    await session.write(dict.fromkeys(channels, 1.0))
    return machine


async def test_what_is_not_held_is_refused_with_all_of_its_call(journal: Path, permit: Any, entries: Entries) -> None:
    with pytest.raises(WriteRefused, match=r"B is not held; nothing of this call was sent"):
        await written(journal, permit, Holder("B"), "A", "B")
    assert [entry["event"] for entry in entries()] == ["attempt", "attempt", "refused", "not_sent"]


async def test_it_is_asked_again_after_the_intention_and_right_before_the_send(
    journal: Path, permit: Any, entries: Entries
) -> None:
    """Asked for the call, before the intention, and after it: only the third time it is gone."""
    holder = Holder("A", after=2)
    with pytest.raises(WriteRefused, match="A is not held"):
        await written(journal, permit, holder, "A")
    assert [entry["event"] for entry in entries()] == ["attempt", "intended", "refused"]
    assert effects_of(journal) is MachineEffects.NONE


async def test_what_is_held_is_written(journal: Path, permit: Any) -> None:
    """The canary of the two tests above: the same writes, and nobody refuses."""
    holder = Holder()
    machine = await written(journal, permit, holder, "A", "B")
    assert [sample.value for sample in (await machine.read(["A", "B"])).values()] == [1.0, 1.0]
    assert holder.asked == [("A", "B"), ("A",), ("A",), ("B",), ("B",)]


async def test_a_run_that_may_not_write_is_not_asked_about(journal: Path) -> None:
    holder = Holder("A")
    broker = Broker(MockConnector(), ControlSystemReport(writes_enabled=True))
    with pytest.raises(WriteRefused, match="no approval"):
        await broker.session(run_id="r1", permit=None, journal=journal, held=holder).write({"A": 1.0})
    assert holder.asked == []


def entry(event: str, write: int = 1, **more: Any) -> dict[str, Any]:
    return {"event": event, "write": write, "channel": "A", "value": "2.0", "previous": "1.0", **more}


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], []),
        ([entry("attempt"), entry("refused")], []),
        ([entry("intended"), entry("sent"), entry("confirmed")], []),
        ([entry("intended"), entry("not_sent")], []),
        ([entry("intended"), entry("sent"), entry("failed")], []),
        ([entry("intended")], ["A"]),
        ([entry("intended"), entry("sent")], ["A"]),
        ([entry("intended"), entry("sent"), entry("unknown")], ["A"]),
        ([entry("intended"), entry("confirmed"), entry("intended", 2, channel="B"), entry("sent", 2)], ["B"]),
    ],
)
def test_what_a_journal_leaves_open(journal: Path, events: list[dict[str, Any]], left: list[str]) -> None:
    journal.write_text("".join(json.dumps(one) + "\n" for one in events))
    assert [write.channel for write in unsettled_of(journal) or ()] == left


@pytest.mark.parametrize("text", ['{"event": "inten', "[1]", "[" * 100_000, "\0\0\0"])
def test_a_damaged_journal_leaves_open_anything(journal: Path, text: str) -> None:
    journal.write_text(f"{json.dumps(entry('attempt'))}\n{text}\n")
    assert unsettled_of(journal) is None
    assert unsettled_of(journal.parent) is None
    assert unsettled_of(journal.with_name("none")) == ()


def unsettled(previous: str | None, value: str | None) -> Unsettled:
    return Unsettled(
        number=1, run_id="r1", machine="m", channel="A", previous=previous, value=value, since=datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("previous", "value", "present", "outcome"),
    [
        ("1.0", "2", 2.0, Settled.WRITTEN),
        ("1.0", "0.1", 0.10000000149011612, Settled.WRITTEN),
        ("1.0", "2.0", 1.0, Settled.NOT_WRITTEN),
        ("1.0", "2.0", 3.0, Settled.UNKNOWN),
        ("2.0", "2.0", 2.0, Settled.UNKNOWN),
        (None, "2.0", 2.0, Settled.UNKNOWN),
        ("1.0", None, 1.0, Settled.UNKNOWN),
        ("1.0", "2.0", float("nan"), Settled.UNKNOWN),
        ("'Off'", "'On'", "On", Settled.WRITTEN),
        ("'Off'", "'On'", "Off", Settled.NOT_WRITTEN),
        ("'Off'", "0", "Off", Settled.UNKNOWN),
        ("[1.0, 2.0]", "[3.0, 4.0]", [3.0, 4.0], Settled.UNKNOWN),
        (f"'{'x' * 40}...{'x' * 40}'", "'y'", "y", Settled.UNKNOWN),
    ],
)
def test_what_a_look_says(previous: str | None, value: str | None, present: Any, outcome: Settled) -> None:
    seen = looked_at(unsettled(previous, value), Reading(channel="A", value=present))
    assert seen.outcome is outcome
    blind = looked_at(unsettled(previous, value), None, "no answer")
    assert (blind.outcome, blind.unreadable) == (Settled.UNKNOWN, "no answer")


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        (Settled.WRITTEN, [], MachineEffects.WRITTEN),
        (Settled.NOT_WRITTEN, [], MachineEffects.NONE),
        (Settled.NOT_WRITTEN, [entry("intended"), entry("confirmed")], MachineEffects.WRITTEN),
        (Settled.UNKNOWN, [], MachineEffects.UNKNOWN),
    ],
)
def test_a_settled_journal_tells_what_is_known_now(
    journal: Path, entries: Entries, outcome: Settled, before: list[dict[str, Any]], after: MachineEffects
) -> None:
    told = [*before, entry("intended", 9), entry("sent", 9)]
    journal.write_text("".join(json.dumps(one) + "\n" for one in told))
    assert effects_of(journal) is MachineEffects.UNKNOWN
    write = unsettled("1.0", "2.0").model_copy(update={"outcome": outcome, "present": "2.0"})
    journal_settlement(journal, Settlement(run_id="r1", writes=(write,), by="ada", at=datetime.now(UTC)))
    assert effects_of(journal) is after
    last = entries()[-1]
    assert (last["event"], last["by"], last["seen"], last["outcome"]) == ("settled", "ada", "2.0", outcome)
