"""One Channel Access client at a time, in this process: what it may say in any order, and what ends its circuit."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import ChannelKind, Sample
from osprey_executor.control.gateways import _ca_values as values
from osprey_executor.control.gateways._ca_circuit import Circuit
from osprey_executor.control.gateways._ca_found import Found
from osprey_executor.control.gateways._ca_gateway import _Searches
from osprey_executor.control.gateways._together import Together
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError
from osprey_executor.models import AlarmSeverity

ca: Any = import_module("caproto")

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
NUMBER = Sample(channel="A", value=1.5, units="mA", precision=2, timestamp=WHEN, control_limits=(-1.0, 2.0))
STATE = Sample(channel="S", value="On", kind=ChannelKind.ENUM, dtype="enum", labels=("Off", "On"), timestamp=WHEN)
ROW = Sample(channel="R", value=np.arange(3.0), kind=ChannelKind.ARRAY, count=4, timestamp=WHEN)


@dataclass
class Machine:
    """A broker's session, seen from a gateway."""

    known: dict[str, Sample] = field(default_factory=lambda: {"A": NUMBER, "S": STATE, "R": ROW})
    asked: list[tuple[str, Any]] = field(default_factory=list)
    monitored: dict[str, asyncio.Queue[Sample | None]] = field(default_factory=dict)
    running: int = 0

    async def samples(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        if "SHUT" in channels:
            raise ControlSystemError("SHUT: cannot be read: the limits database says so")
        if not all(name in self.known for name in channels):
            raise ChannelDisconnectedError("nobody")
        return {name: self.known[name] for name in channels}

    async def describe(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        found = await self.samples(channels)
        return {name: sample.model_copy(update={"value": None}) for name, sample in found.items()}

    async def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        self.running += 1
        try:
            yield (await self.samples([channel]))[channel]
            queue = self.monitored.setdefault(channel, asyncio.Queue())
            while (sample := await queue.get()) is not None:
                yield sample
            raise ChannelDisconnectedError("gone")
        finally:
            self.running -= 1

    async def write(self, channel: str, value: Any) -> str | None:
        self.asked.append((channel, value))
        return "no approval"

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        raise AssertionError("Channel Access has no commands")

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> str:
        self.asked.append((channel, dict(told)))
        return "no approval"


class Client:
    """The other end of a circuit."""

    def __init__(self, machine: Machine) -> None:
        near, far = socket.socketpair()
        far.setblocking(False)
        self.stream = ca.VirtualCircuit(ca.CLIENT, ("", 0), 0)
        self.near = near
        near.setblocking(False)
        circuit = self.circuit = Circuit(machine, Found(machine), 5064)

        async def serve() -> None:
            await circuit.serve(*await asyncio.open_connection(sock=far))

        self.served = asyncio.create_task(serve())
        self.heard: list[Any] = []

    async def send(self, *commands: Any) -> None:
        await asyncio.get_running_loop().sock_sendall(self.near, b"".join(map(bytes, commands)))

    async def hear(self, kind: Any) -> Any:
        """Return the next command of that kind."""
        while True:
            for command in self.heard:
                if isinstance(command, kind):
                    self.heard.remove(command)
                    return command
            piece = await asyncio.get_running_loop().sock_recv(self.near, 2**16)
            assert piece, "the circuit ended"
            self.heard += self.stream.recv(piece)[0]

    async def create(self, name: str) -> int:
        await self.send(ca.CreateChanRequest(name, 7, 13))
        return (await self.hear(ca.CreateChanResponse)).sid

    async def end(self) -> None:
        self.near.close()
        await self.served


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def client(machine: Machine) -> Any:
    made = Client(machine)
    yield made
    await made.end()
    assert machine.running == 0


async def test_a_search_by_the_circuit_is_answered_for_what_is_there(client: Client) -> None:
    await client.send(ca.SearchRequest("NONE", 1, 13), ca.SearchRequest("A", 2, 13))
    found = await client.hear(ca.SearchResponse)
    assert (found.cid, found.port, found.ip) == (2, 5064, "255.255.255.255")
    await client.send(ca.EchoRequest())
    await client.hear(ca.EchoResponse)
    assert not [command for command in client.heard if isinstance(command, ca.SearchResponse)]


async def test_a_channel_tells_its_type_and_that_it_can_be_written(client: Client) -> None:
    for name, kind, count in (("A", 6, 1), ("S", 3, 1), ("R", 6, 4)):
        await client.send(ca.CreateChanRequest(name, 7, 13))
        made, rights = await client.hear(ca.CreateChanResponse), await client.hear(ca.AccessRightsResponse)
        assert (made.data_type, made.data_count, rights.access_rights) == (kind, count, 3)
    await client.send(ca.CreateChanRequest("NONE", 8, 13))
    assert (await client.hear(ca.CreateChFailResponse)).cid == 8


async def test_what_may_not_be_read_can_still_be_seen_to_be_written(client: Client, machine: Machine) -> None:
    await client.send(ca.CreateChanRequest("SHUT", 7, 13))
    made, rights = await client.hear(ca.CreateChanResponse), await client.hear(ca.AccessRightsResponse)
    assert rights.access_rights == ca.AccessRights.WRITE
    await client.send(ca.EventAddRequest(6, 1, made.sid, 1, 0, 0, 0, 1))
    assert (await client.hear(ca.EventAddResponse)).status.name == "ECA_NORDACCESS"
    await client.send(ca.ReadNotifyRequest(6, 1, made.sid, 1))
    assert (await client.hear(ca.ReadNotifyResponse)).status.name == "ECA_GETFAIL"
    await client.send(ca.WriteNotifyRequest([3.0], 6, 1, made.sid, 2))
    assert (await client.hear(ca.WriteNotifyResponse)).status.name == "ECA_NOWTACCESS"
    assert machine.asked == [("SHUT", 3.0)]


async def test_a_subscription_gives_changes_until_it_is_cancelled(client: Client, machine: Machine) -> None:
    sid = await client.create("A")
    await client.send(ca.EventAddRequest(20, 1, sid, 1, 0, 0, 0, 5))
    assert (await client.hear(ca.EventAddResponse)).data[0] == 1.5
    queue = machine.monitored["A"]
    await queue.put(NUMBER)  # the same, told again
    await queue.put(NUMBER.model_copy(update={"value": 2.5}))
    assert (await client.hear(ca.EventAddResponse)).data[0] == 2.5
    await client.send(ca.EventCancelRequest(20, sid, 1))
    ended = await client.hear(ca.EventAddResponse)
    assert (ended.payload_size, ended.subscriptionid) == (0, 1)


async def test_events_wait_while_the_client_wants_none(client: Client, machine: Machine) -> None:
    sid = await client.create("A")
    await client.send(ca.EventsOffRequest(), ca.EventAddRequest(6, 1, sid, 1, 0, 0, 0, 5), ca.EchoRequest())
    await client.hear(ca.EchoResponse)
    assert not [command for command in client.heard if isinstance(command, ca.EventAddResponse)]
    await client.send(ca.EventsOnRequest())
    assert (await client.hear(ca.EventAddResponse)).data[0] == 1.5


async def test_a_channel_that_is_lost_is_told_and_can_be_found_again(client: Client, machine: Machine) -> None:
    sid = await client.create("A")
    await client.send(ca.EventAddRequest(6, 1, sid, 1, 0, 0, 0, 5))
    await client.hear(ca.EventAddResponse)
    await machine.monitored["A"].put(None)
    assert (await client.hear(ca.ServerDisconnResponse)).cid == 7
    assert await client.create("A") != sid


async def test_a_channel_that_is_cleared_has_no_subscriptions(client: Client, machine: Machine) -> None:
    sid = await client.create("A")
    await client.send(ca.EventAddRequest(6, 1, sid, 1, 0, 0, 0, 5), ca.EventAddRequest(6, 1, sid, 2, 0, 0, 0, 5))
    await client.hear(ca.EventAddResponse)
    await client.send(ca.ClearChannelRequest(sid, 7))
    await client.hear(ca.ClearChannelResponse)
    while machine.running:
        await asyncio.sleep(0)


WRITTEN = {
    "a number": (6, 1, struct.pack(">d", 3.0), 3.0),
    "a short": (1, 1, struct.pack(">h", -3), -3),
    "a state": (3, 1, struct.pack(">H", 1), 1),
    "a text": (0, 1, b"On".ljust(40, b"\0"), "On"),
    "an open text": (0, 1, b"x" * 40, "x" * 40),
    "numbers": (5, 2, struct.pack(">ii", 1, -2), [1, -2]),
    "texts": (0, 2, b"a".ljust(40, b"\0") + b"b".ljust(40, b"\0"), ["a", "b"]),
    "not a number": (6, 1, struct.pack(">d", float("nan")), "nan"),
    "more than there is": (6, 3, bytes(8), {"write": "a write of 3 elements in 8 bytes"}),
    "nothing": (6, 0, b"", {"write": "a write of 0 elements in 0 bytes"}),
    "an alarm": (13, 1, bytes(40), {"write": "a write of DBR type 13"}),
    "an acknowledgement": (35, 1, bytes(8), {"write": "a write of DBR type 35"}),
    "a type that is none": (999, 1, bytes(8), {"write": "a write of DBR type 999"}),
}


@pytest.mark.parametrize("command", [4, 19])
@pytest.mark.parametrize(("kind", "count", "raw", "asked"), WRITTEN.values(), ids=WRITTEN)
async def test_every_write_is_asked_of_the_broker(
    command: int, kind: int, count: int, raw: bytes, asked: Any, client: Client, machine: Machine
) -> None:
    sid = await client.create("A")
    await client.send(struct.pack(">HHHHII", command, len(raw), kind, count, sid, 5) + raw)
    while not machine.asked:
        await asyncio.sleep(0)
    ((name, value),) = machine.asked
    assert name == "A"
    assert str(value) == asked or getattr(value, "tolist", lambda: value)() == asked


async def test_writes_that_were_sent_before_the_end_are_asked(machine: Machine) -> None:
    client = Client(machine)
    sid = await client.create("A")
    await client.send(*(ca.WriteRequest([float(at)], 6, 1, sid, at) for at in range(100)))
    await client.end()
    assert machine.asked == [("A", float(at)) for at in range(100)]


def message(command: int, raw: bytes = b"", kind: int = 0, count: int = 0, first: int = 0, second: int = 0) -> bytes:
    return struct.pack(">HHHHII", command, len(raw), kind, count, first, second) + raw


HOSTILE = {
    "a command that is none": message(77),
    "a command of servers": message(26),
    "a channel that is none": message(15, kind=6, count=1, first=99, second=1),
    "a write to none": message(4, bytes(8), 6, 1, 99, 1),
    "a subscription to none": message(1, bytes(16), 6, 1, 99, 1),
    "to clear none": message(12, first=99),
    "more to come than fits": struct.pack(">HHHHIIII", 19, 0xFFFF, 6, 0, 1, 1, 2**31, 2**28),
    "a short subscription": message(1, bytes(2), 6, 1, 1, 1),
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE)
async def test_what_no_client_says_ends_its_circuit(stream: bytes, machine: Machine) -> None:
    client = Client(machine)
    await client.send(stream)
    await client.served
    await client.end()
    assert machine.asked == []


async def test_noise_ends_a_circuit_or_is_answered(machine: Machine) -> None:
    """Streams of a real client, some of their bytes changed, in pieces."""
    good = b"".join(
        (
            *map(bytes, (ca.VersionRequest(0, 13), ca.ClientNameRequest("x"), ca.CreateChanRequest("A", 1, 13))),
            *map(bytes, (ca.SearchRequest("S", 1, 13), ca.ReadNotifyRequest(20, 1, 1, 1))),
            *map(bytes, (ca.EventAddRequest(34, 1, 1, 1, 0, 0, 0, 5), ca.EventsOffRequest(), ca.EventsOnRequest())),
            *map(bytes, (ca.EventCancelRequest(34, 1, 1), ca.ClearChannelRequest(1, 1), ca.EchoRequest())),
        )
    )
    chance = random.Random(4)
    for _ in range(150):
        changed = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        client = Client(machine)
        for at in range(0, len(changed), 37):
            with contextlib.suppress(OSError):
                await client.send(bytes(changed[at : at + 37]))
        client.near.shutdown(socket.SHUT_WR)
        await client.served
        await client.end()
    assert machine.running == 0


async def test_datagrams_are_answered_or_dropped(machine: Machine) -> None:
    answers: list[bytes] = []

    class Transport(asyncio.DatagramTransport):
        def sendto(self, data: Any, addr: Any = None) -> None:
            answers.append(bytes(data))

    searches = _Searches(machine, Found(machine), 5064)
    searches.connection_made(Transport())
    good = bytes(ca.VersionRequest(0, 13)) + b"".join(bytes(ca.SearchRequest(n, i, 13)) for i, n in enumerate("ASXR"))
    chance = random.Random(4)
    for _ in range(300):
        changed = bytearray(good)
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        searches.datagram_received(bytes(changed[: chance.randrange(len(changed))]), ("127.0.0.1", 9))
    searches.datagram_received(good, ("127.0.0.1", 1))
    while searches._tasks or searches._answers:
        await asyncio.sleep(0.001)
    commands = ca.Broadcaster(ca.CLIENT).recv(answers[-1], ("127.0.0.1", 1))
    assert [command.cid for command in commands[1:]] == [0, 1, 3]
    # No number was asked for by: an answer that claimed one would be none to libca.
    assert answers[-1][:16] == struct.pack(">4H2I", 0, 0, 0, 13, 0, 0)
    numbered = struct.pack(">4H2I", 0, 0, 1, 13, 77, 0)
    searches.datagram_received(numbered + good[16:], ("127.0.0.1", 1))
    while searches._tasks or searches._answers:
        await asyncio.sleep(0.001)
    assert answers[-1][:16] == numbered


async def test_what_is_searched_together_is_asked_once_and_a_stranger_holds_nobody_up(machine: Machine) -> None:
    found = Found(machine)
    asked: list[list[str]] = []
    describe = machine.describe

    async def counted(channels: Any) -> Any:
        asked.append(list(channels))
        return await describe(channels)

    machine.describe = counted
    assert await asyncio.gather(*map(found.is_there, ("A", "S"))) == [True, True]
    assert asked == [["A", "S"]]
    assert await asyncio.gather(*map(found.is_there, ("R", "NONE", "A"))) == [True, False, True]
    assert asked[1:] == [["R", "NONE"], ["R"], ["NONE"]]


async def test_a_write_by_datagram_is_told_of_also_at_the_end(machine: Machine) -> None:
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
    with near, far:
        far.bind(("127.0.0.1", 0))
        searches = _Searches(machine, Found(machine), 5064)
        named = bytes(ca.CreateChanRequest("A", 1, 13))
        writes = [
            bytes(kind(data=(5.0,), data_type=6, data_count=1, sid=7, ioid=1))
            for kind in (ca.WriteRequest, ca.WriteNotifyRequest)
        ]
        for write in writes:
            near.sendto(named + write, far.getsockname())
            near.sendto(write, far.getsockname())
        near.sendto(writes[0][:15], far.getsockname())
        await searches.finish(far)
    assert machine.asked == [(name, {"datagram": "a write of 7"}) for name in ("A", "", "A", "")]


READ = {
    "plain": (NUMBER, 6, 0, [1.5], {}),
    "as text": (NUMBER, 0, 0, [b"1.50"], {}),
    "as a whole number": (NUMBER, 5, 0, [1], {}),
    "with its time": (NUMBER, 20, 0, [1.5], {"timestamp": WHEN.timestamp()}),
    "with limits": (NUMBER, 34, 0, [1.5], {"units": b"mA", "precision": 2, "upper_ctrl_limit": 2.0}),
    "a state": (STATE, 3, 0, [1], {}),
    "a state as text": (STATE, 14, 0, [b"On"], {}),
    "a state with labels": (STATE, 31, 0, [1], {"enum_strings": (b"Off", b"On")}),
    "a row": (ROW, 6, 0, [0.0, 1.0, 2.0], {}),
    "part of a row": (ROW, 6, 2, [0.0, 1.0], {}),
    "more than a row": (ROW, 20, 4, [0.0, 1.0, 2.0, 0.0], {}),
}


@pytest.mark.parametrize(("sample", "kind", "count", "data", "told"), READ.values(), ids=READ)
async def test_values_are_given_in_the_type_that_is_asked_for(
    sample: Sample, kind: int, count: int, data: list[Any], told: dict[str, Any], client: Client
) -> None:
    sid = await client.create(sample.channel)
    await client.send(ca.ReadNotifyRequest(kind, count, sid, 1))
    answer = await client.hear(ca.ReadNotifyResponse)
    assert answer.status.name == "ECA_NORMAL"
    assert list(answer.data) == data
    for name, value in told.items():
        assert getattr(answer.metadata, name) == (pytest.approx(value) if isinstance(value, float) else value)


async def test_reads_that_come_together_are_asked_together_and_fail_apart(machine: Machine) -> None:
    asked: list[list[str]] = []
    samples = machine.samples

    async def counted(channels: Sequence[str]) -> Mapping[str, Sample]:
        asked.append(list(channels))
        return await samples(channels)

    machine.samples = counted  # type: ignore[method-assign]
    client = Client(machine)
    sids = {name: await client.create(name) for name in ("A", "S", "R")}
    asked.clear()
    questions = [ca.ReadNotifyRequest(6, 1, sid, number) for number, sid in enumerate(sids.values())]
    await client.send(*questions)
    assert {(await client.hear(ca.ReadNotifyResponse)).status.name for _ in sids} == {"ECA_NORMAL"}
    assert asked == [["A", "S", "R"]]
    del machine.known["S"]
    await client.send(*questions)
    answers = [await client.hear(ca.ReadNotifyResponse) for _ in sids]
    assert {answer.ioid: answer.status.name for answer in answers} == {
        **{0: "ECA_NORMAL", 1: "ECA_GETFAIL", 2: "ECA_NORMAL"}
    }
    await client.end()


async def test_a_channel_that_does_not_answer_holds_up_no_other(machine: Machine) -> None:
    samples, free = machine.samples, asyncio.Event()

    async def slow(channels: Sequence[str]) -> Mapping[str, Sample]:
        if "S" in channels:
            await free.wait()
        return await samples(channels)

    client = Client(machine)
    sids = {name: await client.create(name) for name in ("A", "S", "R")}
    machine.samples = slow  # type: ignore[method-assign]
    client.circuit._reading = Together(slow)
    await client.send(*(ca.ReadNotifyRequest(6, 1, sid, number) for number, sid in enumerate(sids.values())))
    assert {(await client.hear(ca.ReadNotifyResponse)).ioid for _ in range(2)} == {0, 2}
    free.set()
    assert (await client.hear(ca.ReadNotifyResponse)).ioid == 1
    await client.end()


async def test_what_has_no_such_form_is_refused(client: Client) -> None:
    sid = await client.create("A")
    for kind, count in ((35, 1), (38, 1), (6, 2)):
        await client.send(message(15, kind=kind, count=count, first=sid, second=1))
        assert (await client.hear(ca.ErrorResponse)).status.name == "ECA_BADTYPE"


def test_every_type_has_the_size_that_clients_expect() -> None:
    for kind in range(35):
        if kind in (21, 28):  # caproto takes both for others than EPICS does
            continue
        _, description, elements = values.payload(STATE if kind % 7 in (0, 3) else NUMBER, kind, 1)
        structure = ca.DBR_TYPES[kind]
        assert len(description) == (0 if kind < 7 else len(bytes(structure())))
        assert len(elements) == len(bytes(ca.DBR_TYPES[kind % 7]()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -5, True])
def test_numbers_beyond_a_type_break_nothing(value: Any) -> None:
    odd = NUMBER.model_copy(
        update={"value": value, "control_limits": (float("nan"), 1e300), "severity": AlarmSeverity.INVALID}
    )
    for kind in range(35):
        if kind % 7 != values.STRING:
            values.payload(odd, kind, 0)
