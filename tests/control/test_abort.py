"""An abort stands above everything that a run still does: no write after it, and nothing that it hides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import ConditionConfig
from osprey_executor.control import MockConnector, effects_of
from osprey_executor.control.broker._abort import watched
from osprey_executor.control.broker._conditions import conditions_of
from osprey_executor.control.broker._journal import Journal
from osprey_executor.control.broker._session import Session
from osprey_executor.control.limits._database import LimitsDatabase
from osprey_executor.control.limits._entry import ChannelLimits, StopAction, Verification
from osprey_executor.control.limits._run import RunLimits
from osprey_executor.errors import OutcomeUnknownError, WriteRefused
from osprey_executor.models import MachineEffects

STOPS = ChannelLimits(stop_action=StopAction(value=0.0))
AT_A = ChannelLimits(stop_action=StopAction(channel="A", value=7.0))


class Machine(MockConnector):
    """A mock that counts what reaches it, and loses the confirmation where it is told to."""

    def __init__(self) -> None:
        super().__init__({"A": 1.0, "B": 2.0})
        self.received: list[tuple[str, Any]] = []
        self.lost: set[str] = set()

    async def write(self, channel: str, value: Any) -> Any:
        self.received.append((channel, value))
        if channel in self.lost:
            raise OutcomeUnknownError("no confirmation")
        return await super().write(channel, value)


def opened(machine: Machine, permit: Any, journal: Path, **asked: Any) -> Session:
    database = LimitsDatabase({"A": STOPS, "B": ChannelLimits()}, {}, ChannelLimits(), allow_unlisted=True, skip=False)

    async def never() -> str | None:
        return None

    return Session(
        machine,
        run_id="r1",
        permit=permit,
        shut=None,
        journal=journal,
        **{"stopped": never, "limits": RunLimits(database), **asked},
    )


async def test_an_abort_during_the_last_questions_keeps_the_write_from_being_sent(permit: Any, journal: Path) -> None:
    machine = Machine()
    aborting: list[asyncio.Task[None]] = []
    asked = 0

    async def stopped() -> str | None:
        nonlocal asked
        asked += 1
        if asked == 3:  # the last one before the send: once for the call, once before the intention
            aborting.append(asyncio.create_task(session.abort("the beam is lost")))
            await asyncio.sleep(0)
        return None

    session = opened(machine, permit(), journal, stopped=stopped)
    with pytest.raises(WriteRefused, match="aborted: the beam is lost"):
        await session.write({"A": 5.0})
    await aborting[0]
    assert machine.received == []
    assert session.effects is MachineEffects.NONE


async def test_a_stop_action_needs_no_precondition_and_heeds_the_kill_switch(permit: Any, journal: Path) -> None:
    machine, lacks, off = Machine(), [], []

    async def unready() -> str | None:
        return lacks[0] if lacks else None

    async def stopped() -> str | None:
        return off[0] if off else None

    session = opened(machine, permit(), journal, stopped=stopped, unready=unready)
    await session.write({"A": 5.0})
    lacks.append("the beam is lost")
    with pytest.raises(WriteRefused, match="the beam is lost"):
        await session.write({"B": 5.0})
    await session.abort("the beam is lost")
    assert machine.received == [("A", 5.0), ("A", 0.0)]
    off.append("writes are stopped")
    await session.abort("again")
    assert machine.received == [("A", 5.0), ("A", 0.0)]


async def test_a_stop_action_settles_no_unknown_write(permit: Any, journal: Path) -> None:
    machine = Machine()
    machine.lost.add("B")
    session = opened(machine, permit(), journal)
    await session.write({"A": 5.0})
    with pytest.raises(OutcomeUnknownError):
        await session.write({"B": 5.0})
    await session.abort("the beam is lost")
    assert machine.received == [("A", 5.0), ("B", 5.0), ("A", 0.0)]
    assert session.effects is MachineEffects.UNKNOWN


async def test_a_cancellation_before_the_send_leaves_no_unknown_write(permit: Any, journal: Path, entries: Any) -> None:
    machine, waits = Machine(), asyncio.Event()
    asked = 0

    async def stopped() -> str | None:
        nonlocal asked
        asked += 1
        if asked == 3:
            waits.set()
            await asyncio.Event().wait()
        return None

    session = opened(machine, permit(), journal, stopped=stopped)
    task = asyncio.create_task(session.write({"A": 5.0}))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert machine.received == []
    assert [entry["event"] for entry in entries()] == ["attempt", "intended", "not_sent"]


async def test_no_stop_action_of_a_run_that_lost_its_lease(permit: Any, journal: Path, entries: Any) -> None:
    machine, lost = Machine(), dict[str, str]()

    async def held(channels: Any) -> dict[str, str]:
        return {channel: lost["why"] for channel in channels if lost}

    session = opened(machine, permit(), journal, held=held)
    await session.write({"A": 5.0})
    lost["why"] = "this run does not hold the machine any more"
    await session.abort("the beam is lost")
    assert machine.received == [("A", 5.0)]
    assert entries()[-1]["reason"] == "stop action: this run does not hold the machine any more"


async def test_a_run_does_not_end_before_its_stop_actions(permit: Any, journal: Path) -> None:
    class Hesitant(Machine):
        async def write(self, channel: str, value: Any) -> Any:
            await going.wait()
            return await super().write(channel, value)

    machine, going = Hesitant(), asyncio.Event()
    going.set()
    session = opened(machine, permit(), journal)
    lost = conditions_of([ConditionConfig(channel="B", condition="> 2")])

    async def run() -> None:
        async with watched(session, lost, machine):
            await session.write({"A": 5.0})
            going.clear()
            machine._values["B"] = 3.0
            while session.halted is None:
                await asyncio.sleep(0.01)

    running = asyncio.create_task(run())
    while session.halted is None:
        await asyncio.sleep(0.01)
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert machine.received == [("A", 5.0), ("A", 0.0)]


async def test_who_stops_writes_while_a_stop_action_is_journalled_is_heard_and_the_result_tells_it(
    permit: Any, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, off = Machine(), list[str]()

    async def stopped() -> str | None:
        return off[0] if off else None

    def append(self: Journal, *entries: Any, durable: bool = False) -> None:
        if durable and entries[0].get("stop_action"):
            off.append("writes are stopped by ann")
        appended(self, *entries, durable=durable)

    appended = Journal.append
    monkeypatch.setattr(Journal, "append", append)
    session = opened(machine, permit(), journal, stopped=stopped)
    await session.write({"A": 5.0})
    assert session.notes == ()
    await session.abort("the beam is lost")
    assert machine.received == [("A", 5.0)]
    assert session.notes == ("a stop action was not performed, or not for certain: A = 0.0: writes are stopped by ann",)
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN


async def test_the_result_tells_of_a_stop_action_that_is_not_confirmed(permit: Any, journal: Path) -> None:
    machine = Machine()
    session = opened(machine, permit(), journal)
    await session.write({"A": 5.0})
    machine.lost.add("A")
    await session.abort("the beam is lost")
    assert session.notes == ("a stop action was not performed, or not for certain: A = 0.0: no confirmation",)
    assert session.effects is MachineEffects.UNKNOWN


async def test_stop_actions_wait_for_no_read_back_that_never_comes(permit: Any, journal: Path) -> None:
    class Hesitant(Machine):
        async def write(self, channel: str, value: Any) -> Any:
            if value == 5.0:
                begun.set()
                await going.wait()
            return await super().write(channel, value)

    begun, going = asyncio.Event(), asyncio.Event()
    slow = Verification(level="readback", read_back="B", settle_time=3600.0)
    entries = {
        "A": ChannelLimits(stop_action=StopAction(value=0.0), verification=slow),
        "B": AT_A,
        "C": ChannelLimits(),
    }
    database = LimitsDatabase(entries, {}, ChannelLimits(), allow_unlisted=True, skip=False)
    machine = Hesitant()
    session = opened(machine, permit(), journal, limits=RunLimits(database))
    await session.write({"B": 2.0})
    writing = asyncio.create_task(session.write({"A": 5.0}))
    await begun.wait()
    aborting = asyncio.create_task(session.abort("the beam is lost"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert machine.received == [("B", 2.0)]  # what B's would write is under way itself
    going.set()
    await asyncio.wait_for(asyncio.shield(aborting), 30)
    assert machine.received == [("B", 2.0), ("A", 5.0), ("A", 0.0), ("A", 7.0)]
    assert not writing.done()
    writing.cancel()
    await asyncio.wait([writing])
