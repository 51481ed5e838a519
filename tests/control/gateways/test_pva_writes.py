"""Whatever a PVAccess client does to change the machine ends at the source, in the client's own words for a refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from p4p.client.asyncio import Context
from p4p.client.thread import Context as ThreadContext
from p4p.client.thread import RemoteError
from p4p.nt import NTURI, NTScalar
from tests.control.gateways.fake_source import FakeSource

NO = "G: nothing may be written: read_only"


async def put(client: Context, name: str, value: Any, request: str | None = None) -> None:
    await asyncio.wait_for(client.put(name, value, request), 20)


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        *(("G:NUMBER", 4.5, 4.5), ("G:WHOLE", 9, 9), ("G:STATE", "On", 2), ("G:STATE", 0, 0), ("G:FLAG", False, 0)),
        *(("G:TEXT", "there", "there"), ("G:TEXTS", ["x"], ["x"]), ("G:NUMBER.VAL", 4.5, 4.5)),
        ("G:NUMBER", {"value": 4.5, "alarm.severity": 2}, 4.5),
    ],
)
async def test_a_value_that_is_put_reaches_the_source(
    client: Context, source: FakeSource, name: str, value: Any, written: Any
) -> None:
    await put(client, name, value)
    assert source.writes == [(name.removesuffix(".VAL"), written)]
    assert [type(told) for _, told in source.writes] == [type(written)]


async def test_arrays_stay_arrays(client: Context, source: FakeSource) -> None:
    await put(client, "G:ROW", [4.0, 5.0])
    ((name, value),) = source.writes
    assert (name, value.dtype, value.tolist()) == ("G:ROW", np.float64, [4.0, 5.0])


async def test_to_put_is_not_to_read(client: Context, source: FakeSource) -> None:
    """Else a rehearsal of two puts would depend on what it did not move."""
    told: list[Any] = []

    def build(structure: Any) -> None:
        told.append((structure.value, structure.alarm.severity, structure.alarm.message, structure.display.units))
        structure.value = 4.5

    await put(client, "G:NUMBER", build)
    for name in ("G:STATE", "G:ROW", "G:TEXT"):
        await put(client, name, source.now[name].value)
    assert told == [(0.0, 3, "not read", "A")]
    assert source.requests == []
    assert [name for name, _ in source.writes] == ["G:NUMBER", "G:STATE", "G:ROW", "G:TEXT"]


async def test_a_get_after_a_put_sees_it(client: Context, source: FakeSource) -> None:
    for number in range(3):
        await put(client, "G:NUMBER", number + 0.5)
        assert await asyncio.wait_for(client.get("G:NUMBER"), 20) == number + 0.5


async def test_a_monitor_sees_a_put(client: Context, source: FakeSource) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    with client.monitor("G:NUMBER", events.put):
        assert await asyncio.wait_for(events.get(), 20) == 1.5
        await put(client, "G:NUMBER", 4.5)
        assert await asyncio.wait_for(events.get(), 20) == 4.5


@pytest.mark.parametrize("name", ["G:NUMBER", "G:STATE", "G:ROW", "G:TEXT", "G:FLAG"])
async def test_a_refusal_is_the_clients_own_error(client: Context, source: FakeSource, name: str) -> None:
    """The canary is above: where the source does not refuse, the same puts are written."""
    source.refusal = NO
    before = source.now[name]
    with pytest.raises(RemoteError, match="nothing may be written: read_only"):
        await put(client, name, source.now[name].value)
    assert [told for told, _ in source.writes] == [name]
    assert source.now[name] is before


async def test_a_thread_client_is_refused_as_well(environment: dict[str, str], source: FakeSource) -> None:
    def program() -> list[str]:
        with ThreadContext("pva", conf=environment, useenv=False) as context:
            told: list[str] = []
            for change in (
                lambda: context.put("G:NUMBER", 4.5, timeout=20),
                lambda: context.put(["G:WHOLE"], [4], timeout=20),
                lambda: context.put("G:NUMBER", 4.5, request="record[process=true]", timeout=20),
                lambda: context.put("G:NUMBER", 4.5, wait=True, get=False, timeout=20),
                lambda: context.rpc("G:NUMBER", NTURI([("x", "d")]).wrap("G:NUMBER", kws={"x": 1.0}), timeout=20),
            ):
                with pytest.raises(RemoteError) as caught:
                    change()
                told.append(str(caught.value))
            return told

    source.refusal = NO
    told = await asyncio.to_thread(program)
    assert told[:-1] == [NO] * 4
    assert "a command counts as a write" in told[-1]
    assert set(source.writes) == {("G:NUMBER", 4.5), ("G:WHOLE", 4)}


@pytest.mark.parametrize(
    "change",
    [
        {"control.limitHigh": 1e9},
        {"value": 4.5, "display.units": "kA"},
        {"alarm.severity": 0},
        {"timeStamp.userTag": 3},
    ],
)
async def test_other_fields_are_no_value(client: Context, source: FakeSource, change: dict[str, Any]) -> None:
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await put(client, "G:NUMBER", change)
    assert source.writes == []
    ((name, told),) = source.calls
    assert (name, list(told)) == ("G:NUMBER", ["put"])


async def test_labels_are_not_put(client: Context, source: FakeSource) -> None:
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await put(client, "G:STATE", {"value.choices": ["On", "Off"], "value.index": 0})
    assert (source.writes, source.calls) == ([], [("G:STATE", {"put": ["value.choices", "value.index"]})])


async def test_a_table_is_not_put(client: Context, source: FakeSource) -> None:
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await put(client, "G:TABLE", {"value.at": [1.0]})
    assert (source.writes, source.calls) == ([], [("G:TABLE", {"put": "a table"})])


async def test_text_that_no_frame_would_hold_is_refused(client: Context, source: FakeSource) -> None:
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await put(client, "G:TEXT", "x" * 300_000)
    assert (source.writes, source.calls) == ([], [("G:TEXT", {"put": "texts of 300002 characters"})])


async def test_an_array_that_is_too_large_is_refused_and_told_of(client: Context, source: FakeSource) -> None:
    """Its bytes are not kept anywhere, and the connection goes on."""
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await put(client, "G:ROW", np.zeros(3 * 2**20))
    ((name, told),) = source.calls
    assert (name, told["operation"]) == ("G:ROW", "put")
    assert told["bytes"] > 24 * 2**20
    assert source.writes == []
    assert await asyncio.wait_for(client.get("G:NUMBER"), 20) == 1.5


async def test_a_put_that_cannot_begin_is_told_of(client: Context, source: FakeSource) -> None:
    """Without the structure of the channel a client has nothing to put into, and nobody would know that it tried."""
    source.hidden.add("G:NUMBER")
    with pytest.raises(RemoteError, match="not readable"):
        await put(client, "G:NUMBER", 4.5)
    assert source.writes == []
    assert source.calls == [("G:NUMBER", {"put": "not begun: G:NUMBER: not readable, says the limits database"})]


@pytest.mark.parametrize("name", ["G:NUMBER", "G:NOBODY"])
async def test_commands_end_at_the_source_with_their_arguments(client: Context, source: FakeSource, name: str) -> None:
    asked = NTURI([("number", "d"), ("row", "ad"), ("text", "s")]).wrap(
        name, kws={"number": 4.0, "row": [1.0, 2.0], "text": "go"}
    )
    with pytest.raises(RemoteError, match="a command counts as a write"):
        await asyncio.wait_for(client.rpc(name, asked), 20)
    assert source.calls == [(name, {"number": 4.0, "row": [1.0, 2.0], "text": "go"})]


async def test_an_answer_that_is_no_structure_does_not_hide_that_the_command_was_done(
    client: Context, source: FakeSource
) -> None:
    source.answers["G:NUMBER"] = {"deep": [{"x": 1.0}]}
    with pytest.raises(RemoteError, match="the command was done and confirmed, only its answer is lost"):
        await asyncio.wait_for(client.rpc("G:NUMBER", NTURI([]).wrap("G:NUMBER")), 20)


async def test_a_command_without_a_uri_has_its_structure_as_arguments(client: Context, source: FakeSource) -> None:
    with pytest.raises(RemoteError):
        await asyncio.wait_for(client.rpc("G:NUMBER", NTScalar("d").wrap(4.0)), 20)
    ((_, told),) = source.calls
    assert told["value"] == 4.0


async def test_what_the_source_breaks_on_is_not_done(client: Context, source: FakeSource) -> None:
    source.now.pop("G:NUMBER", None)
    source.now["G:NUMBER"] = source.now["G:WHOLE"].model_copy(update={"channel": "G:NUMBER"})

    async def broken(channel: str, value: Any) -> str | None:
        raise RuntimeError("no broker")

    source.write = broken
    with pytest.raises(RemoteError, match="no broker"):
        await put(client, "G:NUMBER", 4)
