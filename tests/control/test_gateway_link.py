"""Between a gateway and the broker: what a gateway may ask, and that nothing it sends harms the service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import Broker, ChannelKind, MockConnector, Session
from osprey_executor.control.connectors._frames import pack
from osprey_executor.control.gateways._answers import Bounds, serve_link
from osprey_executor.control.gateways._ca_found import Found
from osprey_executor.control.gateways._link import LinkSource
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError
from osprey_executor.models import ControlSystemReport, MachineEffects

VALUES: dict[str, Any] = {"A": 1.5, "NAME": "é", "ROW": [1.0, 2.0]}


@dataclass
class Linked:
    """Both ends, in one process."""

    source: LinkSource
    served: asyncio.Task[str | None]
    session: Session


@pytest.fixture
def machine() -> MockConnector:
    return MockConnector(VALUES)


@pytest.fixture
def link(machine: MockConnector, journal: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_link(permit: Any = None, bounds: Bounds | None = None) -> AsyncIterator[Linked]:
        report = ControlSystemReport(type="epics", real=True, writes_enabled=True)
        session = Broker(machine, report).session(run_id="r1", permit=permit, journal=journal)
        ours, theirs = socket.socketpair()
        served = asyncio.create_task(serve_link(session, ours, bounds=bounds or Bounds()))
        source = await LinkSource.connect(theirs)
        try:
            yield Linked(source, served, session)
        finally:
            await source.close()
            with contextlib.suppress(asyncio.CancelledError):
                await served

    return open_link


async def test_samples_come_whole_and_are_recorded_as_reads(link: Any) -> None:
    async with link() as linked:
        samples = await linked.source.samples(["A.VAL", "NAME", "ROW"])
    assert (samples["A.VAL"].value, samples["A.VAL"].kind, samples["A.VAL"].timestamp is None) == (1.5, "number", False)
    assert (samples["NAME"].value, samples["NAME"].kind) == ("é", ChannelKind.TEXT)
    assert samples["ROW"].value.tolist() == [1.0, 2.0]
    assert samples["ROW"].count == 2
    assert [reading.channel for reading in linked.session.reads] == ["A", "NAME", "ROW"]


async def test_to_look_at_a_channel_shows_no_value_and_is_no_reading(link: Any) -> None:
    async with link() as linked:
        samples = await linked.source.describe(["A", "ROW"])
    assert (samples["A"].value, samples["A"].kind, samples["A"].timestamp) == (None, "number", None)
    assert (samples["ROW"].value, samples["ROW"].count) == (None, 2)
    assert not linked.session.reads


async def test_a_channel_that_is_none_is_an_error_with_words(link: Any) -> None:
    async with link() as linked:
        with pytest.raises(ControlSystemError, match="filters"):
            await linked.source.samples(['A.{"dbnd":{}}'])
        with pytest.raises(ControlSystemError, match="filters"):
            await anext(linked.source.monitor('A.{"dbnd":{}}'))


async def test_a_name_too_long_is_not_there_and_ends_nothing(
    link: Any, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    long = "A" * 1001
    async with link() as linked:
        for sampled in (linked.source.describe, linked.source.samples):
            with pytest.raises(ChannelDisconnectedError, match="1001 characters"):
                await sampled(["A", long])
        with pytest.raises(ChannelDisconnectedError, match="1001 characters"):
            await anext(linked.source.monitor(long))
        assert "longer than" in await linked.source.write(long, 1.0)
        assert "refused" in await linked.source.attempted(long, {"datagram": "a write of 1"})
        with pytest.raises(ControlSystemError, match="longer than"):
            await linked.source.call(long, {})
        assert (await linked.source.samples(["A"]))["A"].value == 1.5
    assert [entry["event"] for entry in entries()].count("attempt") == 3


async def test_names_that_nobody_answers_for_hold_up_none_that_is_there(
    link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all asked for at once, and the link takes more all the same."""
    async with link() as linked:
        samples, waiting = linked.session.samples, asyncio.Event()
        alone: set[str] = set()

        async def slow(channels: Any, **more: Any) -> Any:
            if channels[0].startswith("NONE"):
                alone.update(channels if len(channels) == 1 else ())
                await waiting.wait()
            return await samples(channels, **more)

        monkeypatch.setattr(linked.session, "samples", slow)
        found = Found(linked.source)
        strangers = [asyncio.ensure_future(found.is_there(f"NONE{number}")) for number in range(900)]
        async with asyncio.timeout(60):
            while len(alone) < len(strangers):
                await asyncio.sleep(0.01)
            assert await found.is_there("A")
            assert (await linked.source.samples(["A"]))["A"].value == 1.5
            assert not any(one.done() for one in strangers)
            waiting.set()
            await asyncio.gather(*strangers)


async def test_an_answer_that_no_message_holds_is_lost_and_its_command_done(
    link: Any, machine: MockConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with link() as linked:

        async def call(*_: object) -> Any:
            return object()

        monkeypatch.setattr(linked.session, "call", call)
        with pytest.raises(ControlSystemError, match="it was done, only its answer is lost"):
            await linked.source.call("COMMAND", {})


async def test_a_monitor_gives_what_is_there_and_what_comes(link: Any, machine: MockConnector) -> None:
    async with link() as linked:
        samples = linked.source.monitor("A")
        assert (await anext(samples)).value == 1.5
        coming = asyncio.create_task(anext(samples))
        while not machine._changed._waiters:
            await asyncio.sleep(0)
        await machine.write("A", 2.5)
        assert (await coming).value == 2.5
        await samples.aclose()
    assert [reading.value for reading in linked.session.reads] == [1.5, 2.5]


async def test_a_write_without_approval_is_refused_in_words_and_journalled(
    link: Any, machine: MockConnector, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    async with link() as linked:
        assert "no approval" in await linked.source.write("A", 9.0)
        assert "no approval" in await linked.source.write("ROW", np.array([3.0, 4.0]))
        assert "refused" in await linked.source.attempted("OTHER", {"operation": "putGet"})
        with pytest.raises(ControlSystemError, match="refused: a command counts as a write"):
            await linked.source.call("COMMAND", {"argument": 1})
    assert (await machine.read(["A"]))["A"].value == 1.5
    assert [entry["channel"] for entry in entries() if entry["event"] == "attempt"] == ["A", "ROW", "OTHER", "COMMAND"]
    assert linked.session.effects is MachineEffects.NONE


async def test_an_approved_write_is_done(link: Any, machine: MockConnector, permit: Any) -> None:
    async with link(permit(frozenset({"A"}))) as linked:
        assert await linked.source.write("A", 9.0) is None
        assert "not among" in await linked.source.write("NAME", "x")
    assert (await machine.read(["A"]))["A"].value == 9.0


async def test_a_write_that_is_under_way_when_the_gateway_dies_is_confirmed(
    link: Any, machine: MockConnector, permit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    write = machine.write

    async def slow(channel: str, value: Any) -> Any:
        begun.set()
        await may_go_on.wait()
        return await write(channel, value)

    monkeypatch.setattr(machine, "write", slow)
    async with link(permit(frozenset({"A"}))) as linked:
        writing = asyncio.create_task(linked.source.write("A", 9.0))
        await begun.wait()
        await linked.source.close()
        with pytest.raises(ControlSystemError, match="broker of this run has ended"):
            await writing
        may_go_on.set()
        await linked.served
    assert linked.session.effects is MachineEffects.WRITTEN


async def test_the_end_of_the_broker_fails_whoever_waits(link: Any) -> None:
    async with link() as linked:
        samples = linked.source.monitor("A")
        await anext(samples)
        linked.served.cancel()
        with pytest.raises(ControlSystemError, match="has ended"):
            await anext(samples)
        with pytest.raises(ControlSystemError, match="has ended"):
            await linked.source.samples(["A"])


def frame(document: bytes, arrays: bytes = b"") -> bytes:
    return struct.pack(">II", len(document), len(arrays)) + document + arrays


def asked(**message: Any) -> bytes:
    return frame(json.dumps(message).encode())


HOSTILE = {
    "no frame": b"\xff" * 8,
    "a large document": struct.pack(">II", 2**20 + 1, 0),
    "a large array": struct.pack(">II", 2, 2**25),
    "no JSON": frame(b"{"),
    "deep": frame(b"[" * 10**5),
    "no object": frame(b"[]"),
    "no id": asked(op="samples", channels=["A"]),
    "a boolean id": asked(id=True, op="samples", channels=["A"]),
    "no operation": asked(id=1, op="eval"),
    "an operation that cannot be compared": asked(id=1, op=[]),
    "no channels": asked(id=1, op="samples", channels=[]),
    "many channels": asked(id=1, op="samples", channels=["A"] * 1001),
    "channels that are no names": asked(id=1, op="samples", channels=[["A"]]),
    "a text of channels": asked(id=1, op="samples", channels="A"),
    "a long name": asked(id=1, op="write", channel="A" * 1001, value=1),
    "a name that is none": asked(id=1, op="monitor", channel={"A": 1}),
    "arguments that are none": asked(id=1, op="call", channel="A", arguments=[1]),
    "an array of objects": frame(b'{"id":1,"op":"write","channel":"A","value":{"array":["|O",0,8]}}', b"\0" * 8),
    "an array of records": frame(b'{"id":1,"op":"write","channel":"A","value":{"array":["f8,f8",0,16]}}', b"\0" * 16),
    "an array many times": frame(b'{"id":1,"value":[' + b'{"array":["u1",0,8]},' * 9 + b"1]}", b"\0" * 8),
    "an array from before": frame(b'{"id":1,"value":{"array":["u1",-8,8]}}', b"\0" * 8),
    "an array of less than nothing": frame(b'{"id":1,"value":[{"array":["u1",0,-8]}]}', b"\0" * 8),
    "an array of words": frame(b'{"id":1,"value":{"array":["u1","a","b"]}}', b"\0" * 8),
    "a monitor twice": asked(id=1, op="monitor", channel="A") * 2,
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_no_gateway_says_ends_the_link(
    stream: bytes, machine: MockConnector, journal: Path, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    report = ControlSystemReport(type="epics", real=True, writes_enabled=True)
    session = Broker(machine, report).session(run_id="r1", permit=None, journal=journal)
    ours, theirs = socket.socketpair()
    with theirs:
        await asyncio.get_running_loop().run_in_executor(None, theirs.sendall, stream)
        assert "cannot be understood" in str(await serve_link(session, ours))
    assert [(entry["event"], entry["channel"]) for entry in entries()] == [
        (event, "(no channel)") for event in ("attempt", "refused")
    ]


@pytest.mark.parametrize("value", [None, True, {"a": 1}, [[1]], [], "\x1b[0m", 10**4000, float("nan"), [1, None]])
async def test_any_value_that_can_be_said_is_an_attempt_and_refused(
    value: Any, link: Any, permit: Any, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    async with link(permit(frozenset({"A"}))) as linked:
        assert await linked.source.write("A", value)
    assert [entry["event"] for entry in entries()] == ["attempt", "refused"]


async def test_noise_ends_the_link_or_is_refused(
    machine: MockConnector, journal: Path, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    """Bytes of a good message, some of them changed."""
    report = ControlSystemReport(type="epics", real=True, writes_enabled=True)
    session = Broker(machine, report).session(run_id="r1", permit=None, journal=journal)
    good = pack({"id": 1, "op": "write", "channel": "A", "value": np.arange(4.0)})
    for at in range(300):
        changed = bytearray(good)
        changed[at % len(good)] = os.urandom(1)[0]
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(changed)
            theirs.shutdown(socket.SHUT_WR)
            await serve_link(session, ours)
    assert (await machine.read(["A"]))["A"].value == 1.5
    assert {entry["event"] for entry in entries()} == {"attempt", "refused"}


async def test_a_gateway_has_no_more_monitors_than_its_share(link: Any) -> None:
    async with link(bounds=Bounds(monitors=1)) as linked:
        first, second = linked.source.monitor("A"), linked.source.monitor("NAME")
        await anext(first)
        with pytest.raises(ControlSystemError, match="1 monitors in one run"):
            await anext(second)
        await first.aclose()


async def test_a_gateway_that_does_not_listen_is_not_read_either(machine: MockConnector, journal: Path) -> None:
    report = ControlSystemReport(type="epics", real=True, writes_enabled=True)
    session = Broker(machine, report).session(run_id="r1", permit=None, journal=journal)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    serving = asyncio.create_task(serve_link(session, ours, bounds=Bounds(requests=4)))
    with theirs:
        sent = 0
        question = asked(id=1, op="samples", channels=["ROW"] * 500) * 20
        with contextlib.suppress(BlockingIOError):
            for _ in range(1000):
                sent += theirs.send(question)
                for _ in range(20):
                    await asyncio.sleep(0)
        assert sent < 1000 * len(question)
        assert len(session.reads) < 1000
    await serving
