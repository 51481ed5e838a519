"""What one run may use of a control system: rates by waiting, counts by refusal. Time is the test's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import Broker, MockConnector
from osprey_executor.control.broker import _metered
from osprey_executor.control.broker._metered import Metered, Quota
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError
from osprey_executor.models import ControlSystemReport

REPORT = ControlSystemReport(type="epics", real=True, writes_enabled=True)


class Clock:
    """Stands still but for those who wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_metered, "time", clock)
    monkeypatch.setattr(_metered, "asyncio", clock)
    return clock


def metered(values: dict[str, Any] | None = None, **quota: Any) -> Metered:
    return Metered(MockConnector(values), Quota(**quota))


async def test_reads_within_the_quota_do_not_wait(clock: Clock) -> None:
    run = metered(samples=10, burst=2)
    for _ in range(20):
        await run.read(["A"])
    assert clock.now == 0
    await run.read(["A"])
    assert clock.now == pytest.approx(0.1)


async def test_a_run_that_reads_on_gets_its_rate(clock: Clock) -> None:
    run = metered(samples=10, burst=1)
    for _ in range(1010):
        await run.read(["A"])
    assert clock.now == pytest.approx(100)


async def test_new_channels_are_slower_than_known_ones(clock: Clock) -> None:
    run = metered(searches=10, burst=1)
    names = [f"C{number}" for number in range(110)]
    await run.read(names)
    assert clock.now == pytest.approx(10)
    await run.read(names)
    assert clock.now == pytest.approx(10)


async def test_a_name_that_nobody_knows_is_new_each_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = MockConnector()

    async def nobody(channels: Any) -> Any:
        raise ChannelDisconnectedError("nobody")

    monkeypatch.setattr(machine, "read", nobody)
    run = Metered(machine, Quota(searches=1, burst=1))
    for _ in range(11):
        with pytest.raises(ChannelDisconnectedError):
            await run.read(["A"])
    assert clock.now == pytest.approx(10)


async def test_bytes_are_paid_for_by_who_comes_next(clock: Clock) -> None:
    run = metered({"ROW": np.zeros(1000)}, bytes=1000, burst=1)
    await run.read(["ROW"])
    assert clock.now == 0
    await run.read(["A"])
    assert clock.now == pytest.approx(7)


async def test_there_is_an_end_to_channels_and_monitors() -> None:
    run = metered(channels=2, monitors=1)
    await run.read(["A", "B"])
    with pytest.raises(ControlSystemError, match="more than 2 different channels"):
        await run.read(["A", "C"])
    first = run.monitor(["A"])
    await anext(first)
    with pytest.raises(ControlSystemError, match="1 monitors in one run"):
        await anext(run.monitor(["B"]))
    await first.aclose()
    await anext(again := run.monitor(["B"]))
    await again.aclose()


async def test_monitors_wait_like_reads(clock: Clock) -> None:
    machine = MockConnector({"A": 0.0})
    run = Metered(machine, Quota(samples=1, burst=1))
    samples = run.monitor(["A"])
    await anext(samples)
    for value in (1.0, 2.0):
        coming = asyncio.ensure_future(anext(samples))
        while not machine._changed._waiters:
            await asyncio.sleep(0)
        await machine.write("A", value)
        assert (await coming).value == value
    assert clock.now == pytest.approx(2)
    await samples.aclose()


async def test_no_write_waits_for_what_the_program_has_asked(
    monkeypatch: pytest.MonkeyPatch, journal: Path, permit: Any
) -> None:
    async def never(seconds: float) -> None:
        await asyncio.get_running_loop().create_future()

    session = Broker(MockConnector(), REPORT).session(run_id="r", permit=permit(), journal=journal)
    monkeypatch.setattr(_metered, "asyncio", SimpleNamespace(sleep=never))
    reading = asyncio.ensure_future(session.read([f"C{number}" for number in range(10_000)]))
    reading_more = asyncio.ensure_future(session.read([f"D{number}" for number in range(10_000)]))
    await session.write({"A": 1.0})
    assert [write.channel for write in session.writes] == ["A"]
    assert not reading_more.done()
    for task in (reading, reading_more):
        task.cancel()
    await asyncio.wait({reading, reading_more})


async def test_runtime_and_gateway_count_together(clock: Clock, journal: Path) -> None:
    session = Broker(MockConnector(), REPORT).session(run_id="r", permit=None, journal=journal)
    for _ in range(20):
        await session.read([f"C{number}" for number in range(10_000)])
    assert clock.now == 0
    await session.samples(["C1"] + [f"C{number}" for number in range(10_000)])
    assert clock.now == pytest.approx(0.5)


async def test_history_counts_too(clock: Clock, journal: Path) -> None:
    session = Broker(MockConnector(), REPORT).session(run_id="r", permit=None, journal=journal)
    session._metered = Metered(MockConnector(), Quota(samples=10.0, burst=1.0))
    now = datetime.now(UTC)
    for _ in range(11):
        await session.history(["A"], now - timedelta(hours=1), now)
    assert clock.now == pytest.approx(0.1)
    session._metered = Metered(MockConnector(), Quota(bytes=100.0, burst=1.0))
    (found,) = (await session.history(["A"], now - timedelta(hours=1), now)).values()
    assert len(found.values) > 100
    before = clock.now
    await session.read(["B"])
    assert clock.now - before == pytest.approx(found.values.nbytes / 100.0 - 1.0)


async def test_a_query_more_than_are_asked_at_once_waits(journal: Path) -> None:
    class Silent(MockConnector):
        asked = 0

        async def call(self, channel: str, arguments: Any) -> Any:
            self.asked += 1
            await answers.wait()

    machine, answers = Silent(), asyncio.Event()
    metered = Metered(machine, Quota(calls=2))
    asking = [asyncio.create_task(metered.call("A", {})) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert machine.asked == 2
    answers.set()
    await asyncio.gather(*asking)
    assert machine.asked == 5
