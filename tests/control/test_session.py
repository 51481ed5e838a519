"""The broker's session on the mock: what is refused never reaches the connector, and the journal tells it all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.control import (
    Broker,
    Confirmation,
    MockConnector,
    Sample,
    Session,
    UnattendedPermit,
    WritePermit,
    effects_of,
)
from osprey_executor.errors import (
    ControlSystemError,
    InvalidRequestError,
    OutcomeUnknownError,
    StorageError,
    WriteRefused,
)
from osprey_executor.models import AlarmSeverity, ControlSystemReport, MachineEffects

Entries = Callable[[], list[dict[str, Any]]]


class Machine(MockConnector):
    """A mock that counts what reaches it, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__({"A": 1.0, "B": 2.0, "NAME": "x", "ROW": [1.0, 2.0]})
        self.received: list[tuple[str, Any]] = []
        self.failure: BaseException | None = None
        self.invalid: set[str] = set()
        self.before_write: Callable[[], None] = lambda: None

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        samples = await super().read(channels)
        bad = {"severity": AlarmSeverity.INVALID}
        return {n: s.model_copy(update=bad) if n in self.invalid else s for n, s in samples.items()}

    async def write(self, channel: str, value: Any) -> Confirmation:
        self.before_write()
        self.received.append((channel, value))
        if self.failure:
            raise self.failure
        return await super().write(channel, value)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def session(machine: Machine, journal: Path, permit: Any) -> Session:
    """May write A and B, and the field A.DRVH, in so many words."""
    allowed = permit(frozenset({"A", "B", "NAME", "ROW", "A.DRVH"}))
    return opened(machine, journal, allowed)


def opened(
    machine: MockConnector, journal: Path, permit: WritePermit | None, *, enabled: bool = True, real: bool = True
) -> Session:
    report = ControlSystemReport(type="epics", real=real, writes_enabled=enabled)
    return Broker(machine, report).session(run_id="r1", permit=permit, journal=journal)


def events(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["event"], entry["channel"]) for entry in entries]


async def test_a_write_is_checked_journalled_sent_and_confirmed(
    session: Session, machine: Machine, entries: Entries, journal: Path
) -> None:
    await session.write({"A.VAL": 3}, line=12)
    assert machine.received == [("A", 3.0)]
    told = entries()
    assert events(told) == [("attempt", "A"), ("intended", "A"), ("sent", "A"), ("confirmed", "A")]
    assert all(entry["run"] == "r1" and entry["line"] == 12 and entry["value"] == "3" for entry in told)
    assert told[1]["previous"] == "1.0"
    assert told[3]["read_back"] == "3.0"
    assert session.effects is MachineEffects.WRITTEN
    (write,) = session.writes
    assert (write.channel, write.previous, write.value, write.confirmed, write.line) == ("A", "1.0", "3", True, 12)
    assert effects_of(journal) is MachineEffects.WRITTEN


async def test_the_intention_is_on_the_disk_before_the_write_is_sent(
    session: Session, machine: Machine, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("synced"), fsync(descriptor))[1])

    def look() -> None:
        assert ("intended", "A") in events(entries())
        order.append("sent")

    machine.before_write = look
    await session.write({"A": 3})
    assert order[-1] == "sent"
    assert "synced" in order


@pytest.mark.parametrize(
    ("channel", "value", "why"),
    [
        ("C", 1.0, "not among"),
        ("B.DRVH", 1.0, "field"),
        ("A.PROC", 1, "field"),
        ("A\n", 1.0, "not a channel name"),
        ("A ", 1.0, "not a channel name"),
        ("A\x00", 1.0, "not a channel name"),
        ("A", float("nan"), "finite"),
        ("A", True, "boolean"),
        ("A", [99], "array"),
        ("A", "1", "text"),
        ("NAME", 1.0, "number"),
        ("ROW", 1.0, "array"),
        ("ROW", [1.0, 2.0, 3.0], "at most"),
    ],
)
async def test_refused_is_journalled_and_never_sent(
    session: Session, machine: Machine, entries: Entries, journal: Path, channel: str, value: Any, why: str
) -> None:
    with pytest.raises(WriteRefused, match=why):
        await session.write({channel: value}, line=3)
    assert machine.received == []
    assert [entry["event"] for entry in entries()] == ["attempt", "refused"]
    assert why in entries()[-1]["reason"]
    (refusal,) = session.refusals
    assert why in refusal.reason
    assert refusal.line == 3
    assert session.effects is effects_of(journal) is MachineEffects.NONE


async def test_canary_the_same_channels_with_good_values_are_sent(session: Session, machine: Machine) -> None:
    await session.write({"A": 5.0, "NAME": "y", "ROW": [3.0, 4.0], "A.DRVH": 9.0})
    assert [channel for channel, _ in machine.received] == ["A", "NAME", "ROW", "A.DRVH"]


async def test_one_bad_write_stops_its_whole_call(session: Session, machine: Machine, entries: Entries) -> None:
    with pytest.raises(WriteRefused, match="nothing of this call was sent"):
        await session.write({"A": 5.0, "C": 1.0, "B": 5.0})
    assert machine.received == []
    assert events(entries())[3:] == [("refused", "C"), ("not_sent", "A"), ("not_sent", "B")]
    assert [refusal.channel for refusal in session.refusals] == ["C"]


async def test_two_names_of_one_channel_in_one_call(session: Session, machine: Machine) -> None:
    with pytest.raises(WriteRefused, match="twice"):
        await session.write({"A": 5.0, "A.VAL": 6.0})
    assert machine.received == []


async def test_without_permit_nothing_is_written(machine: Machine, journal: Path, entries: Entries) -> None:
    session = opened(machine, journal, None)
    with pytest.raises(WriteRefused, match="no approval"):
        await session.write({"A": 5.0})
    assert machine.received == []
    assert events(entries()) == [("attempt", "A"), ("refused", "A")]


async def test_writes_disabled_is_stronger_than_any_permit(machine: Machine, journal: Path, permit: Any) -> None:
    with pytest.raises(WriteRefused, match="writes_enabled is false"):
        await opened(machine, journal, permit(), enabled=False).write({"A": 5.0})
    assert machine.received == []
    await opened(machine, journal, permit()).write({"A": 5.0})
    assert machine.received == [("A", 5.0)]


async def test_unattended_writes_pass_on_simulated_machines_only(machine: Machine, journal: Path) -> None:
    with pytest.raises(WriteRefused, match="nobody is asked"):
        await opened(machine, journal, UnattendedPermit(), real=True).write({"A": 5.0})
    assert machine.received == []
    simulated = opened(machine, journal, UnattendedPermit(), real=False)
    await simulated.write({"A": 5.0})
    assert machine.received == [("A", 5.0)]
    with pytest.raises(WriteRefused, match="field"):
        await simulated.write({"A.DRVH": 5.0})


async def test_an_approval_that_ends_during_a_call_ends_the_writes(
    machine: Machine, journal: Path, permit: Any, entries: Entries
) -> None:
    allowed = permit()
    session = opened(machine, journal, allowed)

    def expire() -> None:
        allowed.spent = True

    machine.before_write = expire
    with pytest.raises(WriteRefused, match="expired"):
        await session.write({"A": 5.0, "B": 6.0})
    assert machine.received == [("A", 5.0)]
    assert events(entries())[-2:] == [("confirmed", "A"), ("refused", "B")]
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN


async def test_a_permit_that_breaks_allows_nothing(machine: Machine, journal: Path, permit: Any) -> None:
    broken = permit()
    broken.asked = None
    with pytest.raises(WriteRefused, match="cannot be checked: AttributeError"):
        await opened(machine, journal, broken).write({"A": 5.0})
    assert machine.received == []


async def test_a_failed_write_is_not_an_unknown_one(
    session: Session, machine: Machine, entries: Entries, journal: Path
) -> None:
    machine.failure = ControlSystemError("A: not written: the server said no")
    with pytest.raises(ControlSystemError, match="said no"):
        await session.write({"A": 5.0, "B": 5.0})
    assert machine.received == [("A", 5.0)]
    assert events(entries())[-1] == ("failed", "A")
    assert session.effects is effects_of(journal) is MachineEffects.NONE


@pytest.mark.parametrize("failure", [OutcomeUnknownError("no answer"), asyncio.CancelledError(), RuntimeError("bug")])
async def test_without_confirmation_nothing_more_is_written(
    session: Session, machine: Machine, entries: Entries, journal: Path, failure: BaseException
) -> None:
    machine.failure = failure
    expected = asyncio.CancelledError if isinstance(failure, asyncio.CancelledError) else OutcomeUnknownError
    with pytest.raises(expected):
        await session.write({"A": 5.0, "B": 5.0})
    assert events(entries())[-1] == ("unknown", "A")
    machine.failure = None
    with pytest.raises(WriteRefused, match="no confirmation"):
        await session.write({"B": 5.0})
    assert machine.received == [("A", 5.0)]
    assert session.effects is effects_of(journal) is MachineEffects.UNKNOWN
    assert [write.confirmed for write in session.writes] == [False]


async def test_no_journal_no_write(machine: Machine, tmp_path: Path, permit: Any) -> None:
    session = opened(machine, tmp_path / "no" / "such" / "folder" / "journal.jsonl", permit())
    with pytest.raises(StorageError, match="journal"):
        await session.write({"A": 5.0})
    assert machine.received == []


async def test_the_journal_is_never_written_through_a_link(machine: Machine, journal: Path, permit: Any) -> None:
    other = journal.with_name("other")
    other.write_text("")
    journal.symlink_to(other)
    with pytest.raises(StorageError):
        await opened(machine, journal, permit()).write({"A": 5.0})
    assert (machine.received, other.read_text()) == ([], "")


@pytest.mark.parametrize(
    ("lines", "effects"),
    [
        ("", MachineEffects.NONE),
        ('{"event": "attempt", "write": 1}\n{"event": "refused", "write": 1}', MachineEffects.NONE),
        ('{"event": "intended", "write": 1}', MachineEffects.UNKNOWN),
        ('{"event": "intended", "write": 1}\n{"event": "sent", "write": 1}', MachineEffects.UNKNOWN),
        ('{"event": "not_sent", "write": 1}\n{"event": "intended", "write": 1}', MachineEffects.NONE),
        ('{"event": "confirmed", "write": 1}\n{"event": "sent", "write": 2}', MachineEffects.UNKNOWN),
        ('{"event": "confirmed", "write": 1}\n{"eve', MachineEffects.UNKNOWN),
        ("[]", MachineEffects.UNKNOWN),
    ],
)
def test_effects_of_a_killed_run(journal: Path, lines: str, effects: MachineEffects) -> None:
    journal.write_text(lines)
    assert effects_of(journal) is effects


def test_effects_without_journal(journal: Path) -> None:
    assert effects_of(journal) is MachineEffects.NONE


async def test_reads_are_recorded_by_the_names_as_asked(session: Session) -> None:
    readings = await session.read(["A", "A.VAL", "NEW:CURRENT"])
    assert list(readings) == ["A", "A.VAL", "NEW:CURRENT"]
    assert readings["A.VAL"].value == 1.0
    assert [reading.channel for reading in session.reads] == ["A", "A.VAL", "NEW:CURRENT"]
    assert session.reads.dropped == 0


async def test_invalid_is_not_a_value(session: Session, machine: Machine) -> None:
    machine.invalid = {"B"}
    with pytest.raises(ControlSystemError, match="B: the value is INVALID"):
        await session.read(["A", "B"])


@pytest.mark.parametrize("channels", [["A\n"], [7], [None], ["A"] * 10_001])
async def test_what_cannot_be_read(session: Session, channels: list[Any]) -> None:
    with pytest.raises(ControlSystemError):
        await session.read(channels)


async def test_declared_writes_stand_in_the_journal(session: Session, entries: Entries) -> None:
    await session.declare_writes({"A.VAL": (0, 1)})
    assert entries()[0]["ranges"] == {"A": [0.0, 1.0]}
    for bad in ({"A": (1, 0)}, {"A": (0, float("nan"))}, {"A ": (0, 1)}, {"A": 3}):
        with pytest.raises(InvalidRequestError):
            await session.declare_writes(bad)  # pyright: ignore[reportArgumentType]


async def test_there_is_an_end_to_what_one_run_declares(
    session: Session, entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osprey_executor.control.broker._session._MOST_DECLARED", 5)
    for _ in range(5):
        await session.declare_writes({"A": (0, 1)})
    for _ in range(5):
        with pytest.raises(InvalidRequestError, match="more than 5 channels declared in one run"):
            await session.declare_writes({"A": (0, 1)})
    assert len(entries()) == 5


@pytest.mark.parametrize("values", [dict.fromkeys(map(str, range(10_001)), 1.0), [("A", 1.0)]])
async def test_a_call_that_is_none_is_an_attempt_in_the_journal(
    session: Session, entries: Entries, values: Any
) -> None:
    with pytest.raises(WriteRefused, match=r"10001 channels in one call|a mapping of channels"):
        await session.write(values)
    assert [(entry["event"], entry["channel"]) for entry in entries()] == [
        ("attempt", "(no channel)"),
        ("refused", "(no channel)"),
    ]


async def test_a_flood_of_refusals_is_bounded(machine: Machine, journal: Path, entries: Entries) -> None:
    session = opened(machine, journal, None)
    flood = {f"X{number}": 1.0 for number in range(5000)}
    for _ in range(4):
        with pytest.raises(WriteRefused):
            await session.write(flood)
    assert len(session.refusals) == 10_000
    assert len(entries()) == 20_001
    assert machine.received == []


async def test_a_flood_of_attempts_that_are_none_is_counted(session: Session, entries: Entries) -> None:
    """They leave room on the disk, and in the journal for the refusals of writes."""
    for number in range(10_050):
        with pytest.raises(WriteRefused, match="cannot be checked"):
            await session.attempted("", {"datagram": number})
    with pytest.raises(WriteRefused):
        await session.write({"C": 1.0})
    told = entries()
    assert events([told[0], *told[-1:]]) == [("attempt", "(no channel)"), ("refused", "C")]
    assert [entry["count"] for entry in told if entry["event"] == "many_attempts"] == [10_000]
    assert len(told) == 2 * 1000 + 1 + 2
    assert any("9050 more attempts" in note for note in session.notes)
