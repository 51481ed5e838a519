"""The limits database in force in a session: on the mock, and against a real soft IOC."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import (
    Broker,
    Confirmation,
    LimitsFile,
    MockConnector,
    Session,
    effects_of,
)
from osprey_executor.errors import ChannelLimitsViolationError, ControlSystemError, WriteRefused
from osprey_executor.models import ControlSystemReport, MachineEffects

pytestmark = pytest.mark.asyncio(loop_scope="session")

Entries = Callable[[], list[dict[str, Any]]]
REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)

LIMITS = """
T:NUMBER: {min_value: -50, max_value: 8, max_step: 4, max_excursion: 6}
T:WHOLE: {min_value: 0, max_value: 100, max_step: 3}
T:STATE: {states: ['Off', 2]}
T:ROW: {min_value: 0, max_value: 10}
T:TEXT: {states: ['hello', 'bye']}
patterns: {"T:LA*": {max_value: 1, max_rate: 0.000001}}
"""

# What each write breaks, from T:NUMBER 1.0, T:WHOLE 7, T:STATE Off.
REFUSED: list[tuple[str, Any, str, str]] = [
    ("T:NUMBER", 9.0, "max_value", "above max_value 8"),
    ("T:NUMBER.VAL", 9.0, "max_value", "above max_value 8"),
    ("T:NUMBER", -20.0, "ioc_limits", "below -10, the control system's own drive or control limit"),
    ("T:NUMBER", 6.0, "max_step", "a step of 5 from 1; max_step 4"),
    ("T:NUMBER", np.float32(6.0), "max_step", "a step of 5 from 1"),
    ("T:WHOLE", 11, "max_step", "a step of 4 from 7"),
    ("T:STATE", "Standby", "states", "not among the states Off, 2"),
    ("T:STATE", 1, "states", "not among the states Off, 2"),
    ("T:ROW", [1.0, 11.0], "max_value", "an element above max_value 10"),
    ("T:TEXT", "good", "states", "not among the states hello, bye"),
    ("T:LATE", 2.0, "max_value", "above max_value 1"),
    ("T:OTHER", 3.0, "unlisted", "not in the limits database"),
    ("T:NUMBER.DRVH", 99.0, "unlisted", "by its exact entry"),
]
START = {
    "T:NUMBER": 1.0,
    "T:WHOLE": 7,
    "T:STATE": "Off",
    "T:ROW": [1.0, 1.0],
    "T:TEXT": "hello",
    "T:LATE": 0.0,
    "T:OTHER": 0.0,
}


@pytest.fixture
def limits(tmp_path: Path) -> LimitsFile:
    (tmp_path / "limits.yml").write_text(LIMITS)
    return LimitsFile(tmp_path / "limits.yml")


async def opened(connector: Any, journal: Path, permit: Any, limits: LimitsFile | None) -> Session:
    broker = Broker(connector, REAL, limits=limits)
    fields = permit(frozenset({*START, "T:NUMBER.DRVH"}))
    return broker.session(run_id="r1", permit=fields, journal=journal)


async def prepared(records: Broker, tmp_path: Path, permit: Any) -> None:
    """Bring the channels to their start, with the limits layer off."""
    free = await opened(records.connector, tmp_path / "before.jsonl", permit, None)
    await free.write({**START, "T:NUMBER.DRVH": 10.0})


async def value(records: Broker, channel: str) -> Any:
    return (await records.connector.read([channel]))[channel].value


@pytest.mark.parametrize(("channel", "bad", "rule", "why"), REFUSED)
async def test_refused_never_reaches_the_ioc(
    records: Broker,
    limits: LimitsFile,
    journal: Path,
    entries: Entries,
    permit: Any,
    tmp_path: Path,
    channel: str,
    bad: Any,
    rule: str,
    why: str,
) -> None:
    await prepared(records, tmp_path, permit)
    before = await value(records, channel)
    session = await opened(records.connector, journal, permit, limits)
    with pytest.raises(ChannelLimitsViolationError, match=why):
        await session.write({channel: bad}, line=4)
    assert np.array_equal(await value(records, channel), before)
    assert [(entry["event"], entry.get("rule")) for entry in entries()] == [("attempt", None), ("refused", rule)]
    (refusal,) = session.refusals
    assert (refusal.rule, refusal.line, refusal.skipped) == (rule, 4, False)
    assert session.effects is effects_of(journal) is MachineEffects.NONE


@pytest.mark.parametrize(("channel", "bad", "rule", "why"), REFUSED)
async def test_canary_without_the_limits_layer_the_same_writes_arrive(
    records: Broker, journal: Path, permit: Any, tmp_path: Path, channel: str, bad: Any, rule: str, why: str
) -> None:
    await prepared(records, tmp_path, permit)
    before = await value(records, channel)
    session = await opened(records.connector, journal, permit, None)
    await session.write({channel: bad})
    assert not np.array_equal(await value(records, channel), before)
    await prepared(records, tmp_path, permit)


async def test_what_keeps_its_limits_arrives(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path, entries: Entries
) -> None:
    await prepared(records, tmp_path, permit)
    session = await opened(records.connector, journal, permit, limits)
    await session.write(
        {"T:NUMBER": 5.0, "T:WHOLE": 10, "T:STATE": "On", "T:ROW": [10.0], "T:TEXT": "bye", "T:LATE": 1}
    )
    assert [await value(records, name) for name in ("T:NUMBER", "T:WHOLE", "T:STATE")] == [5.0, 10, "On"]
    intended = {entry["channel"]: entry["limits"] for entry in entries() if entry["event"] == "intended"}
    assert intended["T:NUMBER"] == "-50 to 8, step 4, 6 from the start"


async def test_one_record_has_one_state_by_whatever_name(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path
) -> None:
    await prepared(records, tmp_path, permit)
    session = await opened(records.connector, journal, permit, limits)
    await session.write({"T:NUMBER": 4.0})
    await session.write({"T:NUMBER.VAL": 7.0})
    with pytest.raises(ChannelLimitsViolationError, match="7 away from 1 at the start of the run"):
        await session.write({"T:NUMBER": 8.0})
    assert await value(records, "T:NUMBER") == 7.0
    await session.write({"T:LATE": 0.5})
    with pytest.raises(ChannelLimitsViolationError, match="max_rate"):
        await session.write({"T:LATE.VAL": 1.0})


async def test_the_step_counts_from_the_present_value_whoever_set_it(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path
) -> None:
    await prepared(records, tmp_path, permit)
    session = await opened(records.connector, journal, permit, limits)
    await session.write({"T:NUMBER": 2.0})
    await records.connector.write("T:NUMBER", -4.0)
    with pytest.raises(ChannelLimitsViolationError, match="a step of 7 from -4"):
        await session.write({"T:NUMBER": 3.0})


async def test_one_bad_write_stops_its_whole_call(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path, entries: Entries
) -> None:
    await prepared(records, tmp_path, permit)
    session = await opened(records.connector, journal, permit, limits)
    with pytest.raises(ChannelLimitsViolationError, match="nothing of this call was sent"):
        await session.write({"T:WHOLE": 8, "T:NUMBER": 9.0})
    assert await value(records, "T:WHOLE") == 7
    assert [entry["event"] for entry in entries()] == ["attempt", "attempt", "refused", "not_sent"]


async def test_skip_leaves_out_and_tells(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path, entries: Entries
) -> None:
    await prepared(records, tmp_path, permit)
    (tmp_path / "limits.yml").write_text(f"on_violation: skip\n{LIMITS}")
    session = await opened(records.connector, journal, permit, limits)
    skipped = await session.write({"T:NUMBER": 9.0, "T:OTHER": 1.0, "T:WHOLE": 8}, line=2)
    assert [(one.channel, one.rule, one.skipped) for one in skipped] == [
        ("T:OTHER", "unlisted", True),
        ("T:NUMBER", "max_value", True),
    ]
    assert list(session.refusals) == skipped
    assert (await value(records, "T:NUMBER"), await value(records, "T:WHOLE")) == (1.0, 8)
    told = [(entry["channel"], entry["skipped"]) for entry in entries() if entry["event"] == "refused"]
    assert told == [("T:OTHER", True), ("T:NUMBER", True)]
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN
    assert await session.write({"T:NUMBER": 9.0}) != []
    # Skipping is for limits alone: what is no value, or was not approved, still ends the call.
    for bad in ({"T:NUMBER": float("nan"), "T:WHOLE": 9}, {"T:NEVER": 1.0, "T:WHOLE": 9}):
        with pytest.raises(WriteRefused, match="nothing of this call"):
            await session.write(bad)
    assert await value(records, "T:WHOLE") == 8


async def test_an_unreadable_database_shuts_the_broker_and_says_why(
    records: Broker, limits: LimitsFile, journal: Path, permit: Any, tmp_path: Path
) -> None:
    (tmp_path / "limits.yml").write_text("T:NUMBER:\n  min_value: [1]\n")
    session = await opened(records.connector, journal, permit, limits)
    before = await value(records, "T:NUMBER")
    with pytest.raises(WriteRefused, match=r"nothing is written: .*limits\.yml line 2: T:NUMBER\.min_value must be"):
        await session.write({"T:NUMBER": 1.5})
    assert await value(records, "T:NUMBER") == before


async def test_the_connector_tells_the_drive_limits(records: Broker) -> None:
    samples = await records.connector.read(["T:NUMBER", "T:OTHER", "T:STATE", "T:TEXT"])
    assert samples["T:NUMBER"].control_limits == (-10.0, 10.0)
    assert samples["T:OTHER"].control_limits == (0.0, 0.0)
    assert samples["T:STATE"].control_limits is samples["T:TEXT"].control_limits is None


@pytest.mark.parametrize(
    ("verification", "wrong"),
    [
        ("{level: readback}", None),
        ("{level: readback, read_back: T:WHOLE, tolerance_absolute: 4}", None),
        ("{level: readback, read_back: T:WHOLE}", "written and confirmed as 4.0, but T:WHOLE reads 7"),
        ("{level: readback, read_back: T:NEVER, settle_time: 0.2}", "T:NEVER is INVALID, .* within 0.2 s"),
        ("{level: readback, read_back: T:NOBODY}", "T:NOBODY cannot be read back"),
        ("{level: callback}", None),
    ],
)
async def test_a_write_is_verified_by_its_read_back(
    records: Broker,
    limits: LimitsFile,
    journal: Path,
    permit: Any,
    tmp_path: Path,
    entries: Entries,
    verification: str,
    wrong: str | None,
) -> None:
    await prepared(records, tmp_path, permit)
    (tmp_path / "limits.yml").write_text(f"T:NUMBER: {{verification: {verification}}}")
    session = await opened(records.connector, journal, permit, limits)
    if wrong is None:
        await session.write({"T:NUMBER": 4.0})
        assert entries()[-1]["event"] == ("verified" if "readback" in verification else "confirmed")
    else:
        with pytest.raises(ControlSystemError, match=wrong):
            await session.write({"T:NUMBER": 4.0})
        assert [entry["event"] for entry in entries()][-2:] == ["confirmed", "disagrees"]
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN
    assert [write.confirmed for write in session.writes] == [True]


class Slow(MockConnector):
    """A power supply that follows its setpoint only after some reads."""

    def __init__(self, reads: int) -> None:
        super().__init__({"M:SP": 0.0, "M:RB": 0.0})
        self.reads = reads

    async def read(self, channels: Any) -> Any:
        if list(channels) == ["M:RB"]:
            self.reads -= 1
            if self.reads == 0:
                self._values["M:RB"] = self._values["M:SP"]
        return await super().read(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        self._values[channel] = value
        return Confirmation(self._sample(channel))


async def test_a_read_back_has_time_to_settle(journal: Path, permit: Any, tmp_path: Path, entries: Entries) -> None:
    file = tmp_path / "limits.yml"
    file.write_text("M:SP: {verification: {level: readback, read_back: M:RB, settle_time: 30}}")
    broker = Broker(Slow(3), REAL, limits=LimitsFile(file))
    await broker.session(run_id="r1", permit=permit(), journal=journal).write({"M:SP": 2.0})
    assert entries()[-1]["event"] == "verified"
    file.write_text("M:SP: {verification: {level: readback, read_back: M:RB}}")
    broker = Broker(Slow(3), REAL, limits=LimitsFile(file))
    with pytest.raises(ControlSystemError, match=r"M:RB reads 0\.0"):
        await broker.session(run_id="r2", permit=permit(), journal=journal).write({"M:SP": 2.0})


class Counting(MockConnector):
    """A mock that tells what it was asked for."""

    def __init__(self) -> None:
        super().__init__({"LATCH": 1.0, "LATCH.RVAL": 1.0, "HIDDEN:1": 1.0, "OPEN": 1.0, "HIDDEN:2": 2.0})
        self.asked: list[str] = []

    async def read(self, channels: Any) -> Any:
        self.asked += channels
        return await super().read(channels)


READS = """
allow_unlisted_channels: true
LATCH: {read_side_effect: true}
HIDDEN:2: {readable: true}
patterns: {"HIDDEN:*": {readable: false}, "*:1": {}}
"""


@pytest.mark.parametrize("channel", ["LATCH", "LATCH.VAL", "LATCH.RVAL", "HIDDEN:1", "HIDDEN:1.EGU"])
async def test_what_is_not_to_be_read_is_never_asked_for(
    journal: Path, permit: Any, tmp_path: Path, channel: str
) -> None:
    (tmp_path / "reads.yml").write_text(READS)
    machine = Counting()
    session = Broker(machine, REAL, limits=LimitsFile(tmp_path / "reads.yml")).session(
        run_id="r1", permit=permit(), journal=journal
    )
    with pytest.raises(ControlSystemError, match="says the limits database"):
        await session.read(["OPEN", channel])
    with pytest.raises(WriteRefused):
        await session.write({channel: 2.0})
    assert machine.asked == []
    assert list(await session.read(["OPEN", "HIDDEN:2", "HIDDEN:2.EGU"])) == ["OPEN", "HIDDEN:2", "HIDDEN:2.EGU"]


async def test_canary_without_the_database_the_same_channels_are_read(journal: Path, permit: Any) -> None:
    machine = Counting()
    session = Broker(machine, REAL).session(run_id="r1", permit=permit(), journal=journal)
    await session.read(["LATCH", "LATCH.RVAL", "HIDDEN:1"])
    assert machine.asked == ["LATCH", "LATCH.RVAL", "HIDDEN:1"]


async def test_a_field_is_written_within_its_own_entry(journal: Path, permit: Any, tmp_path: Path) -> None:
    (tmp_path / "fields.yml").write_text("X: {max_value: 5}\nX.DRVH: {max_value: 10}\n")
    machine = MockConnector({"X": 1.0, "X.DRVH": 5.0})
    broker = Broker(machine, REAL, limits=LimitsFile(tmp_path / "fields.yml"))
    session = broker.session(run_id="r1", permit=permit(frozenset({"X", "X.DRVH"})), journal=journal)
    await session.write({"X.DRVH": 9.0})
    for channel, number in (("X.DRVH", 11.0), ("X", 9.0)):
        with pytest.raises(ChannelLimitsViolationError, match="above max_value"):
            await session.write({channel: number})
    with pytest.raises(WriteRefused, match="where the approval names it"):
        await broker.session(run_id="r2", permit=permit(), journal=journal).write({"X.DRVH": 9.0})


async def test_ospreys_file_in_force_on_the_mock(journal: Path, permit: Any, tmp_path: Path) -> None:
    file = tmp_path / "channel_limits.json"
    file.write_text(json.dumps({"defaults": {"writable": False}, "A[1]:SP": {"writable": True, "max_value": 5.0}}))
    broker = Broker(MockConnector({"A[1]:SP": 1.0, "B": 1.0}), REAL, limits=LimitsFile(file))
    session = broker.session(run_id="r1", permit=permit(), journal=journal)
    await session.write({"A[1]:SP": 5.0})
    for channel, number in (("A[1]:SP", 5.1), ("A1:SP", 1.0), ("B", 1.0)):
        with pytest.raises(ChannelLimitsViolationError):
            await session.write({channel: number})


GROUPS = """
T:NUMBER: {}
T:OTHER: {}
T:LATE: {}
T:STATE: {}
T:TEXT: {}
groups:
  bump: {channels: [T:NUMBER.VAL, "T:OTH*", T:LATE], max_total_excursion: 3}
  states: {channels: ["T:STATE", "T:TEXT"], max_channels: 1}
  mixed: {channels: ["T:TEXT", "T:LATE"], max_total_excursion: 100}
"""

TOGETHER: list[tuple[list[dict[str, Any]], str]] = [
    ([{"T:NUMBER": 2.0}, {"T:OTHER": 1.0}, {"T:LATE": -1.1}], "together 3.1 away from their start"),
    ([{"T:NUMBER": 2.0, "T:OTHER": -1.0, "T:LATE": 1.1}], "group bump: all its channels together 3.1 away"),
    ([{"T:NUMBER": 2.0}, {"T:NUMBER": 4.5}], "together 3.5 away"),
    ([{"T:STATE": 1}, {"T:STATE": 2}, {"T:TEXT": "good"}], "channel 2 of them; max_channels 1"),
    ([{"T:STATE": 1, "T:TEXT": "good"}], "group states: it would be channel 2"),
    ([{"T:TEXT": "good"}], "group mixed: a channel of it holds no number"),
]


@pytest.mark.parametrize(("calls", "words"), TOGETHER)
@pytest.mark.parametrize("there", [True, False], ids=["groups", "canary without them"])
async def test_a_group_bounds_its_channels_together(
    calls: list[dict[str, Any]], words: str, there: bool, records: Broker, permit: Any, journal: Path, tmp_path: Path
) -> None:
    await prepared(records, tmp_path, permit)
    file = tmp_path / "limits.yml"
    file.write_text(GROUPS if there else GROUPS.partition("groups:")[0])
    session = await opened(records.connector, journal, permit, LimitsFile(file))
    *before, last = calls
    for call in before:
        await session.write(call)
    if not there:
        await session.write(last)
        assert set(last) <= {write.channel for write in session.writes}
        return
    with pytest.raises(ChannelLimitsViolationError, match=words):
        await session.write(last)
    assert len(session.writes) == sum(map(len, before))


async def test_what_comes_back_makes_room_in_its_group(
    records: Broker, permit: Any, journal: Path, tmp_path: Path
) -> None:
    await prepared(records, tmp_path, permit)
    (tmp_path / "limits.yml").write_text(GROUPS)
    session = await opened(records.connector, journal, permit, LimitsFile(tmp_path / "limits.yml"))
    for call in (
        {"T:NUMBER": 4.0},
        {"T:NUMBER": 1.0},
        {"T:OTHER": 3.0, "T:LATE": 0.0},
        {"T:OTHER": 0.1, "T:LATE": 2.9},
    ):
        await session.write(call)
    with pytest.raises(WriteRefused, match="its limits bound values"):
        await session.call("T:LATE", {})


async def test_in_a_group_what_is_too_much_is_skipped_and_the_rest_goes_on(
    records: Broker, permit: Any, journal: Path, tmp_path: Path
) -> None:
    await prepared(records, tmp_path, permit)
    (tmp_path / "limits.yml").write_text(GROUPS + "on_violation: skip\n")
    session = await opened(records.connector, journal, permit, LimitsFile(tmp_path / "limits.yml"))
    skipped = await session.write({"T:NUMBER": 3.0, "T:OTHER": 2.0, "T:LATE": 1.0})
    assert [refusal.channel for refusal in skipped] == ["T:OTHER"]
    assert [write.channel for write in session.writes] == ["T:NUMBER", "T:LATE"]
