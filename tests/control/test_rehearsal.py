"""A rehearsal reads the machine and never writes it: what it would have written is its plan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.approval import plan_digest
from osprey_executor.config import config_from
from osprey_executor.control import (
    Broker,
    ChannelKind,
    LimitsFile,
    MockConnector,
    RehearsalSession,
    open_control,
)
from osprey_executor.control.broker._metered import Metered, Quota
from osprey_executor.control.broker._start import Expected
from osprey_executor.errors import (
    ChannelDisconnectedError,
    ChannelLimitsViolationError,
    ControlSystemError,
    InvalidRequestError,
    WriteRefused,
)
from osprey_executor.models import ControlSystemReport, MachineEffects, Plan, RunStatus

REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)


class Machine(MockConnector):
    """A mock that must not be written."""

    def __init__(self) -> None:
        super().__init__({"A": 1.0, "A:RB": 1.0, "B": 2.0, "NAME": "x", "ROW": [1.0, 2.0]})
        self.asked: list[str] = []
        self.away: set[str] = set()

    async def read(self, channels: Sequence[str]) -> Any:
        self.asked += channels
        if gone := self.away.intersection(channels):
            raise ChannelDisconnectedError(f"{gone}: nobody answers")
        return await super().read(channels)

    async def write(self, channel: str, value: Any) -> Any:
        raise AssertionError(f"{channel} was written")


Open = Callable[..., Any]


@pytest.fixture
def opened(journal: Path, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def rehearsal(limits: str = "", **changes: Any) -> AsyncIterator[RehearsalSession]:
        file = None
        if limits:
            path = tmp_path / "limits.yml"
            path.write_text(limits)
            config = config_from({"control_system": {"limits_database": str(path)}})
            file = LimitsFile.of(config.control_system)
        broker = Broker(Machine(), REAL, limits=file)
        async with broker.rehearsal(run_id="r1", journal=journal, **changes) as session:
            yield session

    return rehearsal


async def value_of(session: RehearsalSession, channel: str, line: int | None = None) -> Any:
    return (await session.read([channel], line))[channel].value


async def test_what_it_writes_stays_in_the_overlay_and_becomes_the_plan(opened: Open, entries: Any) -> None:
    async with opened() as session:
        await session.write({"A.VAL": 3}, line=5)
        await session.write({"A": 4.5, "NAME": "y"}, line=6)
        assert await value_of(session, "A", 7) == 4.5
        assert await value_of(session, "A.VAL", 7) == 4.5
        plan = session.plan(RunStatus.SUCCEEDED)
    assert [(one.index, one.channel, one.now, one.value, one.delta, one.line) for one in plan.writes] == [
        (1, "A", 1.0, 3.0, 2.0, 5),
        (2, "A", 3.0, 4.5, 1.5, 6),
        (3, "NAME", "'x'", "y", None, 6),
    ]
    assert [(one.channel, one.value, one.line) for one in plan.attempted] == [
        ("A", 3, 5),
        ("A", 4.5, 6),
        ("NAME", "y", 6),
    ]
    assert plan.start["A"].value == 1.0
    assert (session.effects, session.writes, session.refusals) == (MachineEffects.NONE, (), ())
    assert not plan.feedback_dependent
    assert plan.conclusive
    assert [entry["event"] for entry in entries()] == ["attempt", "rehearsed", "attempt", "attempt", *["rehearsed"] * 2]


async def test_a_read_outside_the_overlay_after_a_write_makes_it_depend_on_the_machine(opened: Open) -> None:
    async with opened() as session:
        await value_of(session, "B", 2)
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent
        await session.write({"A": 3.0}, line=3)
        await value_of(session, "A", 4)
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent
        await value_of(session, "A:RB", 5)
        await value_of(session, "B", 6)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert (plan.feedback_dependent, plan.feedback_dependent_from, plan.conclusive) == (True, 5, False)


async def test_a_line_that_nobody_knows_is_none_and_still_a_dependence(opened: Open) -> None:
    async with opened() as session:
        await session.write({"A": 3.0})
        await value_of(session, "B")
        plan = session.plan(RunStatus.SUCCEEDED)
    assert (plan.feedback_dependent, plan.feedback_dependent_from) == (True, None)


async def test_the_past_does_not_depend_on_what_was_written(opened: Open) -> None:
    async with opened() as session:
        await session.write({"A": 3.0})
        now = datetime.now(UTC)
        await session.history(["A"], now - timedelta(hours=2), now - timedelta(hours=1))
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent


async def test_history_up_to_now_depends_on_what_was_written(opened: Open) -> None:
    async with opened() as session:
        await session.history(["A"], datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))
        await session.write({"A": 3.0})
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent
        await session.history(["A"], datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))
        assert session.plan(RunStatus.SUCCEEDED).feedback_dependent


async def test_a_query_after_a_write_depends_on_the_machine_even_on_a_written_channel(opened: Open) -> None:
    async with opened("A: {}\nNAME: {call: query}\n") as session:
        with pytest.raises(ControlSystemError):  # the mock has no commands
            await session.call("NAME", {})
        await session.write({"NAME": "y"}, line=2)
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent
        with pytest.raises(ControlSystemError):
            await session.call("NAME", {}, line=3)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert (plan.feedback_dependent, plan.feedback_dependent_from) == (True, 3)


async def test_attempts_that_cannot_be_checked_are_told_and_leave_room_for_writes(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osprey_executor.control.broker._rehearsal._MOST_UNCHECKED", 2)
    async with opened() as session:
        for number in range(3):
            with pytest.raises(WriteRefused, match="cannot be checked"):
                await session.attempted("A.VAL", {"datagram": number})
        await session.write({"A": 3.0}, line=4)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert [(one.channel, one.line) for one in plan.attempted] == [("A", None), ("A", None), ("A", 4)]
    assert "datagram" in str(plan.attempted[0].value)
    assert len(plan.refused) == 3


async def test_the_read_back_of_the_limits_database_shows_it(opened: Open) -> None:
    read_back = "{level: readback, read_back: 'A:RB'}"
    limits = f"A:\n  max_value: 5\n  max_step: 3\n  verification: {read_back}\nA:RB: {{writable: false}}\n"
    async with opened(limits) as session:
        await session.write({"A": 3.0}, line=1)
        assert await value_of(session, "A:RB", 2) == 3.0
        plan = session.plan(RunStatus.SUCCEEDED)
    assert not plan.feedback_dependent
    assert plan.writes[0].limits == "at most 5, step 3, read back from A:RB"
    assert (plan.start["A"].high, plan.start["A"].max_step) == (5.0, 3.0)


async def test_limits_hold_in_it_and_a_refused_write_is_no_part_of_the_plan(opened: Open) -> None:
    async with opened("A: {max_value: 5}\n") as session:
        with pytest.raises(ChannelLimitsViolationError, match="max_value"):
            await session.write({"A": 6.0}, line=1)
        with pytest.raises(ChannelLimitsViolationError, match="not in the limits database"):
            await session.write({"B": 6.0}, line=2)
        with pytest.raises(WriteRefused, match="finite"):
            await session.write({"A": float("nan")}, line=3)
        plan = session.plan(RunStatus.REFUSED)
    assert plan.writes == ()
    assert [refusal.channel for refusal in plan.refused] == ["A", "B", "A"]
    assert [(one.channel, one.value) for one in plan.attempted] == [("A", 6.0), ("B", 6.0), ("A", "nan")]


async def test_declared_ranges_and_how_their_channels_are(opened: Open) -> None:
    async with opened() as session:
        await session.declare_writes({"A.VAL": (0, 5), "B": (1, 2)})
        await session.look_at_declared()
        plan = session.plan(RunStatus.SUCCEEDED)
    assert plan.declared == {"A": (0.0, 5.0), "B": (1.0, 2.0)}
    assert {name: start.value for name, start in plan.start.items()} == {"A": 1.0, "B": 2.0}


async def test_what_is_not_to_be_read_is_not_read_for_the_card_either(opened: Open) -> None:
    async with opened("A: {}\nB: {read_side_effect: true}\n") as session:
        await session.declare_writes({"A": (0, 5), "B": (1, 2)})
        await session.look_at_declared()
        plan = session.plan(RunStatus.SUCCEEDED)
        assert session._overlay.machine.asked == ["A"]
    assert plan.start.keys() == {"A"}


async def test_a_channel_that_nobody_knows_hides_no_other_from_the_card(opened: Open) -> None:
    async with opened() as session:
        session._overlay.machine.away = {"GONE"}
        await session.declare_writes({"A": (0, 5), "GONE": (0, 1), "B": (1, 2)})
        await session.look_at_declared()
    assert session.plan(RunStatus.SUCCEEDED).start.keys() == {"A", "B"}


async def test_there_is_an_end_to_what_is_declared(opened: Open) -> None:
    async with opened() as session:
        await session.declare_writes({f"C{number}": (0, 1) for number in range(10_000)})
        await session.declare_writes({"C1": (0, 2)})
        with pytest.raises(InvalidRequestError, match="more than 10000 channels declared"):
            await session.declare_writes({"A": (0, 1)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("nan")]])
async def test_a_channel_without_a_finite_value_can_stand_on_a_card(opened: Open, value: Any) -> None:
    async with opened() as session:
        session._overlay.machine._values["A"] = value
        await session.write({"A": [1.0, 2.0] if isinstance(value, list) else 2.0})
        plan = session.plan(RunStatus.SUCCEEDED)
        again = (await session._overlay.machine.read(["A"]))["A"]
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert len(plan_digest(plan)) == 64
    assert Expected(plan.start).conflict("A", again) is None
    changed = again.model_copy(update={"value": 1.0, "kind": ChannelKind.NUMBER})
    assert "somebody else has changed it" in (Expected(plan.start).conflict("A", changed) or "")


async def test_whoever_fails_for_ever_fills_no_journal(
    opened: Open, monkeypatch: pytest.MonkeyPatch, journal: Path
) -> None:
    monkeypatch.setattr("osprey_executor.control.broker._session._MOST_ATTEMPTS", 50)
    monkeypatch.setattr("osprey_executor.control.broker._refusals._MOST", 10)
    async with opened() as session:
        session._overlay.machine.away = {"GONE"}
        for _ in range(100):
            with pytest.raises((ControlSystemError, WriteRefused)):
                await session.write({"GONE": 1.0})
    assert len(journal.read_text().splitlines()) <= 2 * (50 + 10) + 1


async def test_what_a_rehearsal_would_write_is_looked_for_within_its_quota(opened: Open) -> None:
    async with opened() as session:
        session._looks = Metered(session._overlay, Quota(channels=2))
        await session.write({"A": 2.0, "B": 3.0})
        with pytest.raises(ControlSystemError, match="more than 2 different channels"):
            await session.write({"NAME": "y"})


async def test_the_first_write_is_told_once(opened: Open) -> None:
    told: list[int] = []
    async with opened(on_write=lambda: told.append(1)) as session:
        await value_of(session, "A")
        assert told == []
        await session.write({"A": 2.0, "B": 1.0})
        await session.write({"A": 3.0})
    assert told == [1]


async def test_a_plan_has_an_end(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osprey_executor.control.broker._rehearsal.MOST_PLANNED", 3)
    async with opened() as session:
        for _ in range(3):
            await session.write({"A": 2.0})
        with pytest.raises(WriteRefused, match="3 writes"):
            await session.write({"A": 2.0})
        plan = session.plan(RunStatus.REFUSED)
    assert (len(plan.writes), plan.too_many, plan.conclusive) == (3, True, False)


async def test_a_monitor_of_the_overlay_sees_what_was_written(opened: Open) -> None:
    async with opened() as session:
        samples = session._overlay.monitor(["A"])
        assert (await anext(samples)).value == 1.0
        waiting = asyncio.ensure_future(anext(samples))
        await asyncio.sleep(0)
        await session.write({"A": 7.0})
        while (seen := (await waiting).value) != 7.0:
            assert seen == 1.0
            waiting = asyncio.ensure_future(anext(samples))
        await samples.aclose()


async def test_a_simulator_stands_in_and_is_set_to_the_machine_first(tmp_path: Path) -> None:
    config = config_from({"control_system": {"type": "simulator", "writes_enabled": True, "rehearsal": "simulator"}})
    async with open_control(config) as broker:
        await broker.connector.write("VA:HCM:03:SP", 0.5)
        for name in ("one", "two"):  # the second one finds the model that the first one has moved
            async with broker.rehearsal(run_id=name, journal=tmp_path / name) as session:
                assert await value_of(session, "VA:HCM:03:SP") == 0.5
                assert await value_of(session, "VA:HCM:01:SP") == 0.0
                before = await value_of(session, "VA:BPM:01:X")
                await session.write({"VA:HCM:01:SP": 1.0}, line=4)
                after = await value_of(session, "VA:BPM:01:X", 5)
                assert abs(after - before) > 0.01
                assert await value_of(session, "VA:HCM:01:RB", 6) == 1.0
                plan = session.plan(RunStatus.SUCCEEDED)
            assert (plan.simulated, plan.feedback_dependent) == (True, False)
            assert (plan.start["VA:HCM:01:SP"].low, plan.start["VA:HCM:01:SP"].high) == (-5.0, 5.0)
        assert (await broker.connector.read(["VA:HCM:01:SP"]))["VA:HCM:01:SP"].value == 0.0


async def test_where_the_machine_is_not_the_models_the_rehearsal_does_not_begin(journal: Path) -> None:
    class Elsewhere(Machine):
        async def read(self, channels: Any) -> Any:
            raise ControlSystemError("VA:HCM:01:SP: nobody answers")

    config = config_from({"control_system": {"type": "simulator", "rehearsal": "simulator"}})
    async with open_control(config) as broker:
        models = broker._models
        with pytest.raises(ControlSystemError, match="nobody answers"):
            async with Broker(Elsewhere(), REAL, models=models).rehearsal(run_id="r", journal=journal):
                pytest.fail("it began")


@asynccontextmanager
async def watching(session: RehearsalSession, *channels: str) -> AsyncIterator[None]:
    """Monitor each channel, as a library does that has connected it, from its first value on."""
    monitors = [session.monitor(channel) for channel in channels]
    for monitor in monitors:
        await anext(monitor)
    try:
        yield
    finally:
        for monitor in monitors:
            await monitor.aclose()


@pytest.mark.parametrize("before", [True, False], ids=["connected before", "connected one by one"])
async def test_channels_that_are_monitored_and_then_written_depend_on_nothing(opened: Open, before: bool) -> None:
    async with opened() as session, watching(session, *(["A", "B"] if before else [])):
        for name in ("A", "B"):
            async with watching(session, name):
                await session.write({name: 3.0})
        plan = session.plan(RunStatus.SUCCEEDED)
    assert [write.channel for write in plan.writes] == ["A", "B"]
    assert not plan.feedback_dependent


@pytest.mark.parametrize("before", [True, False], ids=["connected before", "connected after"])
async def test_what_is_monitored_and_not_written_is_in_doubt(opened: Open, before: bool) -> None:
    async with opened() as session, watching(session, *(["A:RB"] if before else [])):
        await session.write({"A": 3.0})
        async with watching(session, *([] if before else ["A:RB"])):
            await session.write({"A": 4.0}, line=3)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert (plan.feedback_dependent, plan.feedback_dependent_from) == (True, None)


async def test_what_was_monitored_before_the_first_write_only_is_known_as_if_it_was_read(opened: Open) -> None:
    async with opened() as session:
        async with watching(session, "A:RB"):
            pass
        await session.write({"A": 3.0})
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent


async def test_a_change_that_was_told_between_is_not_mended_by_a_write(journal: Path) -> None:
    machine = MockConnector({"A": 1.0, "B": 2.0})
    async with Broker(machine, REAL).rehearsal(run_id="r1", journal=journal) as session:
        monitor = session.monitor("B")
        await anext(monitor)
        await session.write({"A": 3.0})
        await machine.write("B", 2.5)
        assert (await anext(monitor)).value == 2.5
        await session.write({"B": 3.5})
        await monitor.aclose()
        plan = session.plan(RunStatus.SUCCEEDED)
    assert plan.feedback_dependent
