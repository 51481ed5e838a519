"""Bytes that no library sends: what is answered, what is refused, and what ends the connection alone."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest
from p4p.client.asyncio import Context
from tests.control.gateways.fake_source import FakeSource
from tests.control.gateways.raw_client import RawClient, create, operate, packed

from osprey_executor.control.gateways._pva_gateway import MOST_CONNECTIONS

GET, PUT, PUT_GET, MONITOR, ARRAY, PROCESS, RPC = 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x10, 0x14


async def test_a_get_by_hand(raw: RawClient) -> None:
    """The canary of the others: with proper bytes this client is served."""
    sid = await raw.channel("G:NUMBER")
    raw.send(operate(GET, sid, 5, 0x08))
    assert (await raw.answer(GET))[:6] == struct.pack("<IBB", 5, 0x08, 0xFF)
    raw.send(operate(GET, sid, 5, 0x40, b""))
    assert struct.pack("<d", 1.5) in await raw.answer(GET)


@pytest.mark.parametrize(("command", "what"), [(PUT_GET, "putGet"), (PROCESS, "process"), (ARRAY, "array operation")])
async def test_what_p4p_does_not_know_is_a_command(raw: RawClient, source: FakeSource, command: int, what: str) -> None:
    sid = await raw.channel("G:NUMBER")
    raw.send(operate(command, sid, 5, 0x08))
    answer = await raw.answer(command)
    assert answer[:6] == struct.pack("<IBB", 5, 0x08, 2)
    assert b"a command counts as a write" in answer
    assert source.calls == [("G:NUMBER", {"operation": what})]


async def test_a_command_on_no_channel_is_refused_without_asking(raw: RawClient, source: FakeSource) -> None:
    raw.send(operate(PROCESS, 77, 5, 0x08))
    assert b"there is no such channel" in await raw.answer(PROCESS)
    assert source.calls == []


async def test_big_endian_messages_are_understood(raw: RawClient, source: FakeSource) -> None:
    sid = await raw.channel("G:NUMBER")
    raw.send(operate(PROCESS, sid, 5, 0x08, order=">"))
    assert (await raw.answer(PROCESS))[:5] == struct.pack("<IB", 5, 0x08)
    assert source.calls == [("G:NUMBER", {"operation": "process"})]


async def test_segments_are_one_message(raw: RawClient) -> None:
    sid = await raw.channel("G:NUMBER")
    whole = operate(GET, sid, 5, 0x08)[8:]
    raw.send(
        packed(GET, whole[:3], flags=0x10), packed(GET, whole[3:6], flags=0x30), packed(GET, whole[6:], flags=0x20)
    )
    assert (await raw.answer(GET))[:6] == struct.pack("<IBB", 5, 0x08, 0xFF)


async def test_names_of_one_message_are_asked_for_one_by_one(raw: RawClient) -> None:
    raw.send(create("G:NUMBER", 'G:NUMBER.{"dbnd":{"abs":1}}', "G:TEXT", "", "G:\x00"))
    answers = [await raw.answer(7) for _ in range(5)]
    status = {int.from_bytes(answer[:4], "little"): answer[8] for answer in answers}
    assert status == {1: 0xFF, 2: 3, 3: 0xFF, 4: 3, 5: 3}


async def test_put_and_start_without_waiting_are_taken_in_order(raw: RawClient, source: FakeSource) -> None:
    """A client may send all that it wants at once; nothing of an operation overtakes what makes it ready."""
    source.refusal = "read_only"
    sid = await raw.channel("G:NUMBER")
    bits = b"\x01\x02" + struct.pack("<d", 4.5)  # the second field, the value
    for ioid in range(5, 25):  # without an order, pvxs hangs up at one of them
        raw.send(operate(PUT, sid, ioid, 0x08), operate(PUT, sid, ioid, 0x00, bits))
        assert (await raw.answer(PUT))[:6] == struct.pack("<IBB", ioid, 0x08, 0xFF)
        answer = await raw.answer(PUT)
        assert (answer[:6], b"read_only" in answer) == (struct.pack("<IBB", ioid, 0x00, 2), True)
    assert source.writes == [("G:NUMBER", 4.5)] * 20


async def test_a_request_that_is_taken_back_is_not_sent_later(raw: RawClient, source: FakeSource) -> None:
    sid = await raw.channel("G:NOBODY")
    raw.send(operate(GET, sid, 5, 0x08), packed(0x0F, struct.pack("<II", sid, 5)))
    raw.send(operate(GET, sid, 6, 0x08), packed(0x08, struct.pack("<II", sid, 1)))
    await raw.answer(8)
    source.now["G:NOBODY"] = source.now["G:NUMBER"].model_copy(update={"channel": "G:NOBODY"})
    other = await raw.channel("G:NUMBER", cid=2)
    raw.send(operate(GET, other, 7, 0x08))
    assert (await raw.answer(GET))[:4] == struct.pack("<I", 7)


@pytest.mark.parametrize(
    "hostile",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        packed(GET, b"", magic=0xCB),
        packed(GET, b"x" * 9, flags=0x40),
        packed(0x13, b""),
        packed(0x6F, b"abc"),
        packed(GET, b"abc"),
        packed(GET, bytes(16), size=2**31),
        packed(GET, b"a", flags=0x20),
        packed(GET, b"", flags=0x10) * 2,
        packed(7, struct.pack("<H", 60_000)),
        packed(7, b"\x01\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff"),
        packed(7, b"\x01\x00\x00\x00\x00\x00\x20abc"),
        packed(1, b"\x00" * 8 + b"\xfe\xff\xff\xff\x7f"),
    ],
)
async def test_what_is_no_pvaccess_ends_its_connection_alone(
    raw: RawClient, client: Context, source: FakeSource, hostile: bytes
) -> None:
    raw.send(hostile)
    assert await raw.closed()
    assert await asyncio.wait_for(client.get("G:NUMBER"), 20) == 1.5
    assert (source.writes, source.calls) == ([], [])


async def test_more_connections_than_are_served_wait(port: int) -> None:
    crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waiting = asyncio.create_task(reader.read(1))
    for other, _ in crowd:
        await other.readexactly(8)
    assert not waiting.done()
    crowd[0][1].close()
    assert await asyncio.wait_for(waiting, 20)
    for one in (writer, *(other for _, other in crowd)):
        one.close()
        with contextlib.suppress(OSError):
            await one.wait_closed()


async def test_a_put_is_heard_of_although_nobody_waits_for_the_answer(port: int, source: FakeSource) -> None:
    async with RawClient(port) as client:
        sid = await client.channel("G:NUMBER")
        bits = b"\x01\x02" + struct.pack("<d", 4.5)
        client.send(operate(PUT, sid, 5, 0x08), operate(PUT, sid, 5, 0x00, bits))
    async with asyncio.timeout(20):
        while not source.writes:
            await source.changed.wait()
    assert source.writes == [("G:NUMBER", 4.5)]


async def test_the_type_of_a_channel_can_be_asked_for(raw: RawClient, source: FakeSource) -> None:
    source.hidden.add("G:TEXT")
    for cid, name in enumerate(("G:NUMBER", "G:TEXT"), 1):
        sid = await raw.channel(name, cid)
        raw.send(packed(0x11, struct.pack("<II", sid, 5) + b"\x00"))
    answers = [await raw.answer(0x11) for _ in range(2)]
    assert [answer[:5] for answer in answers] == [struct.pack("<IB", 5, 0xFF), struct.pack("<IB", 5, 2)]
    assert b"epics:nt/NTScalar:1.0" in answers[0]
    assert b"not readable, says the limits database" in answers[1]


@pytest.mark.parametrize(
    "end", [packed(0x0F, struct.pack("<II", 0x11223344, 5)), packed(0x08, struct.pack("<II", 0x11223344, 1)), b""]
)
async def test_a_put_that_is_taken_back_is_told_of(port: int, source: FakeSource, end: bytes) -> None:
    """Nobody answers for the channel, so the server never gets to see the put."""
    async with RawClient(port) as client:
        sid = await client.channel("G:NOBODY")
        client.send(operate(PUT, sid, 5, 0x08), end.replace(b"\x44\x33\x22\x11", struct.pack("<I", sid)))
    async with asyncio.timeout(20):
        while not source.calls:
            await asyncio.sleep(0.01)
    assert source.calls == [("G:NOBODY", {"put": "taken back before anybody answered for the channel"})]
    assert source.writes == []
