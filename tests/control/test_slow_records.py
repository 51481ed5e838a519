"""A record that takes its time, as a motor does: what waits for it, and what must not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from osprey_executor.config import config_from
from osprey_executor.control import Broker, EpicsConnector, LimitsFile, PvaConnector, Timeouts
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ControlSystemReport

pytestmark = pytest.mark.asyncio(loop_scope="module")

REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)
PATIENT = Timeouts(read=30.0, write=120.0)
LIMITS = """
S:MOTOR: {stop_action: {channel: "S:LAMP", value: 3}}
S:LAMP: {stop_action: {value: 2}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(slow_ioc: Any) -> AsyncIterator[Any]:
    async with slow_ioc() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_ca(server: Any) -> AsyncIterator[EpicsConnector]:
    connector = EpicsConnector([f"127.0.0.1:{server.port}"], timeouts=PATIENT)
    await connector.connect()
    yield connector
    await connector.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def by_pva(server: Any) -> AsyncIterator[PvaConnector]:
    connector = PvaConnector([], name_servers=[f"127.0.0.1:{server.tcp}"], timeouts=PATIENT)
    await connector.connect()
    yield connector
    await connector.close()


async def value_of(connector: Any, channel: str) -> Any:
    return (await connector.read([channel]))[channel].value


async def until(connector: Any, channel: str, value: Any) -> None:
    async with asyncio.timeout(60):
        while await value_of(connector, channel) != value:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("protocol", ["Channel Access", "PVAccess"])
async def test_a_write_is_confirmed_when_the_record_is_done_with_it(
    protocol: str, by_ca: EpicsConnector, by_pva: PvaConnector
) -> None:
    connector = by_ca if protocol == "Channel Access" else by_pva
    await by_ca.write("S:ARRIVE", 0.0)
    goal = await value_of(by_ca, "S:POSITION") + 1.0
    await connector.read(["S:MOTOR"])
    moving = asyncio.create_task(connector.write("S:MOTOR", goal))
    await until(by_ca, "S:MOTOR", goal)
    for _ in range(10):  # a confirmation that waits for nothing is here by now
        await connector.read(["S:LAMP"])
    assert not moving.done()
    assert await value_of(by_ca, "S:POSITION") != goal
    await by_ca.write("S:ARRIVE", 1.0)
    await moving
    await until(by_ca, "S:POSITION", goal)


async def test_stop_actions_wait_for_no_write_that_is_under_way(
    by_ca: EpicsConnector, permit: Any, journal: Path, tmp_path: Path
) -> None:
    file = tmp_path / "limits.yml"
    file.write_text(LIMITS)
    limits = LimitsFile.of(config_from({"control_system": {"limits_database": str(file)}}).control_system)
    session = Broker(by_ca, REAL, limits=limits).session(run_id="r1", permit=permit(), journal=journal)
    await by_ca.write("S:ARRIVE", 0.0)
    await session.write({"S:LAMP": 1.0})
    moving = asyncio.create_task(session.write({"S:MOTOR": 50.0}))
    await until(by_ca, "S:MOTOR", 50.0)
    aborting = asyncio.create_task(session.abort("the beam is lost"))
    await until(by_ca, "S:LAMP", 2.0)  # the motor's, 3, came before it
    assert not moving.done()
    assert not aborting.done()
    second = asyncio.create_task(session.write({"S:LAMP": 9.0}))
    await by_ca.write("S:ARRIVE", 1.0)
    with pytest.raises(WriteRefused, match="aborted"):
        await asyncio.wait_for(second, 60)
    await moving
    await aborting
    assert await value_of(by_ca, "S:LAMP") == 3.0  # again, now that the write has ended
    assert [write.channel for write in session.writes] == ["S:LAMP", "S:LAMP", "S:LAMP", "S:MOTOR", "S:LAMP"]


async def test_the_first_state_of_a_stop_channel_allows_writes(
    by_ca: EpicsConnector, by_pva: PvaConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osprey_executor.control.broker._stop_channel._FRESH", 0.0)
    for connector in (by_ca, by_pva):
        broker = Broker(connector, REAL, stop_channel="S:STOPPED")
        await by_ca.write("S:STOPPED", 0)
        assert await broker.stopped() is None
        await by_ca.write("S:STOPPED", 1)
        assert await broker.stopped() == "writes are stopped at the machine: S:STOPPED is 'Stopped'"
