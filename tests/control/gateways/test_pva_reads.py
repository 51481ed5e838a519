"""Real p4p clients read through the PVAccess gateway what the source says, each time anew."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from p4p.client.asyncio import Context, Disconnected
from p4p.client.thread import Context as ThreadContext
from p4p.client.thread import RemoteError
from tests.control.gateways.fake_source import THEN, FakeSource

PLAIN = {
    **{"G:NUMBER": 1.5, "G:WHOLE": 7, "G:LONG": 2**40, "G:FLAG": True, "G:TEXT": "hello", "G:STATE": 1},
    **{"G:ROW": [0.0, 1.0, 2.0, 3.0], "G:BYTES": [0, 1, 2], "G:TEXTS": ["a", "b"], "G:ALARM": 3.0},
}


async def get(client: Context, name: str, request: str | None = None) -> Any:
    return await asyncio.wait_for(client.get(name, request), 20)


@pytest.mark.parametrize("name", PLAIN)
async def test_every_kind_of_channel_is_read(client: Context, name: str) -> None:
    value = await get(client, name)
    assert (value.tolist() if hasattr(value, "tolist") else value) == PLAIN[name]
    assert value.timestamp == THEN.timestamp()


async def test_types_are_those_of_the_channel(client: Context) -> None:
    assert (await get(client, "G:BYTES")).dtype == np.uint8
    assert (await get(client, "G:ROW")).dtype == np.float64
    assert (await get(client, "G:WHOLE")).raw.type().aspy("value") == "i"
    assert (await get(client, "G:LONG")).raw.type().aspy("value") == "l"


async def test_units_limits_labels_and_alarms_come_along(client: Context) -> None:
    number, state = await get(client, "G:NUMBER"), await get(client, "G:STATE")
    assert number.raw.display.units == "A"
    assert number.raw.display.precision == 3
    assert (number.raw.display.limitLow, number.raw.display.limitHigh) == (-5.0, 5.0)
    assert (number.raw.control.limitLow, number.raw.control.limitHigh) == (-10.0, 10.0)
    alarms = number.raw.valueAlarm
    assert (alarms.lowAlarmLimit, alarms.lowWarningLimit, alarms.highWarningLimit, alarms.highAlarmLimit) == (
        *(-4.0, -3.0),
        *(3.0, 4.0),
    )
    whole = await get(client, "G:WHOLE")
    assert (whole.raw.control.limitLow, whole.raw.control.limitHigh) == (0, 0)  # not a number: no limits
    assert (state.choice, state.raw.value.choices) == ("Standby", ["Off", "Standby", "On"])
    invalid, high = await get(client, "G:ALARM"), await get(client, "G:HIHI")
    assert (invalid.severity, invalid.raw.alarm.message) == (3, "no link")
    assert (high.severity, high.raw.alarm.status, high.raw.alarm.message) == (2, 3, "HIHI")
    assert number.raw.alarm.todict() == {"severity": 0, "status": 0, "message": ""}


async def test_a_table_has_its_columns(client: Context) -> None:
    table = await get(client, "G:TABLE")
    assert table.getID() == "epics:nt/NTTable:1.0"
    assert table.labels == ["at", "name"]
    assert (table.value.at.tolist(), table.value.name) == ([1.0, 2.0], ["a", "b"])


async def test_a_get_is_one_read_and_never_an_old_one(client: Context, source: FakeSource) -> None:
    """Nothing is touched: who answered from a value that was posted earlier would be found out."""
    for number in range(5):
        source.now["G:NUMBER"] = source.now["G:NUMBER"].model_copy(update={"value": float(number)})
        assert await get(client, "G:NUMBER") == number
    assert source.requests == [["G:NUMBER"]] * 5
    assert source.described == ["G:NUMBER"]


async def test_a_field_of_the_structure_can_be_asked_for_alone(client: Context) -> None:
    value = await get(client, "G:NUMBER", "field(value)")
    assert value == 1.5
    assert value.severity == 0


async def test_a_get_that_asks_for_processing_reads(client: Context, source: FakeSource) -> None:
    assert await get(client, "G:NUMBER", "record[process=true]field()") == 1.5
    assert (source.writes, source.calls) == ([], [])


async def test_x_and_x_val_are_one_channel(client: Context, source: FakeSource) -> None:
    assert await get(client, "G:NUMBER.VAL") == await get(client, "G:NUMBER") == 1.5
    assert {name for request in source.requests for name in request} == {"G:NUMBER"}


async def test_many_at_once_come_in_few_requests(client: Context, source: FakeSource) -> None:
    names = [f"G:MANY{number}" for number in range(300)]
    source.now |= {name: source.now["G:NUMBER"].model_copy(update={"channel": name}) for name in names}
    await get(client, names)  # pyright: ignore[reportArgumentType]
    source.requests.clear()
    assert await get(client, names) == [1.5] * 300  # pyright: ignore[reportArgumentType]
    assert sorted(name for request in source.requests for name in request) == sorted(names)
    assert len(source.requests) < 150


async def test_a_thread_client_reads_and_monitors(environment: dict[str, str], source: FakeSource) -> None:
    seen: list[float] = []
    changed = threading.Event()

    def note(value: float) -> None:
        seen.append(value)
        if value == 2.5:
            changed.set()

    def program() -> list[Any]:
        with ThreadContext("pva", conf=environment, useenv=False) as context:
            values = context.get(["G:NUMBER", "G:TEXT"], timeout=20)
            with context.monitor("G:NUMBER", note):
                loop.call_soon_threadsafe(source.set, "G:NUMBER", 2.5)
                assert changed.wait(20)
            return values

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(program) == [1.5, "hello"]
    assert set(seen) <= {1.5, 2.5}


async def test_what_may_not_be_read_says_why(client: Context, source: FakeSource) -> None:
    source.hidden.add("G:TEXT")
    with pytest.raises(RemoteError, match="not readable, says the limits database"):
        await get(client, "G:TEXT")
    events: asyncio.Queue[Any] = asyncio.Queue()
    with client.monitor("G:TEXT", events.put, notify_disconnect=True):
        assert isinstance(await asyncio.wait_for(events.get(), 20), Disconnected)
        event = await asyncio.wait_for(events.get(), 20)
    assert isinstance(event, RemoteError)
    assert "limits database" in str(event)
    assert await get(client, "G:NUMBER") == 1.5


async def test_an_unknown_channel_is_silent_until_it_is_there(client: Context, source: FakeSource) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.get("G:NEW"), 0.3)
    waiting = asyncio.create_task(get(client, "G:NEW"))
    await asyncio.sleep(0)
    source.now["G:NEW"] = source.now["G:NUMBER"].model_copy(update={"channel": "G:NEW"})
    assert await waiting == 1.5


async def next_value(events: asyncio.Queue[Any]) -> Any:
    while True:
        event = await asyncio.wait_for(events.get(), 20)
        if not isinstance(event, Exception):
            return event


async def test_a_monitor_sees_changes_and_no_gets(client: Context, source: FakeSource) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    with client.monitor("G:NUMBER", events.put):
        assert await next_value(events) == 1.5
        await get(client, "G:NUMBER")
        source.set("G:NUMBER", 2.5)
        changed = await next_value(events)
        assert (changed, changed.timestamp) == (2.5, THEN.timestamp() + 1)
        assert source.monitored == {"G:NUMBER"}
        assert events.empty()


async def test_new_labels_reach_a_monitor(client: Context, source: FakeSource) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    with client.monitor("G:STATE", events.put):
        assert (await next_value(events)).choice == "Standby"
        source.now["G:STATE"] = source.now["G:STATE"].model_copy(update={"labels": ("A", "B"), "value": "B"})
        source.touch()
        assert (await next_value(events)).choice == "B"


async def test_a_source_is_monitored_only_as_long_as_a_client_is_there(
    environment: dict[str, str], source: FakeSource
) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    with Context("pva", conf=environment, useenv=False) as client, client.monitor("G:NUMBER", events.put):
        await next_value(events)
        assert source.monitored == {"G:NUMBER"}
    async with asyncio.timeout(20):
        while source.monitored:
            await source.changed.wait()


async def test_a_channel_that_goes_is_disconnected_and_comes_back(client: Context, source: FakeSource) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    with client.monitor("G:NUMBER", events.put, notify_disconnect=True):
        assert await next_value(events) == 1.5  # after the first disconnection, from which every monitor begins
        gone = source.now.pop("G:NUMBER")
        source.touch()
        assert isinstance(await asyncio.wait_for(events.get(), 20), Disconnected)
        source.now["G:NUMBER"] = gone.model_copy(update={"value": 8.0})
        assert await next_value(events) == 8.0


async def test_a_channel_of_another_type_is_another_channel(client: Context, source: FakeSource) -> None:
    assert await get(client, "G:NUMBER") == 1.5
    source.now["G:NUMBER"] = source.now["G:TEXT"].model_copy(update={"channel": "G:NUMBER"})
    assert await get(client, "G:NUMBER") == "hello"
