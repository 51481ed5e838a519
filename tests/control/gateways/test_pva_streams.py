"""The parts of the gateway that look into a stream: however it is cut, and whatever is in it."""

from __future__ import annotations

import random
import struct

import pytest
from tests.control.gateways.hostile_pva import spoiled
from tests.control.gateways.raw_client import HELLO, create, operate, packed

from osprey_executor.control.gateways._pva_streams import LARGEST, FromClient, FromServer
from osprey_executor.control.gateways._pva_wire import Command, Malformed, Message, failure, names_of, no_channel

SESSION = (
    HELLO,
    create("G:NUMBER", "G:TEXT"),
    packed(0x03, b"", flags=1),
    operate(0x0A, 1, 2, 8, order=">"),
    packed(0x0B, b"ab", flags=0x10),
    packed(0x0B, b"cd", flags=0x30),
    packed(0x0B, b"ef", flags=0x20),
    packed(0x02, b"still there"),
)


def cut(stream: bytes, sizes: random.Random) -> list[bytes]:
    pieces: list[bytes] = []
    while stream:
        size = sizes.randint(1, 20)
        pieces.append(stream[:size])
        stream = stream[size:]
    return pieces


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_the_same_however_the_stream_is_cut(seed: int) -> None:
    stream = b"".join(SESSION)
    parser = FromClient()
    found = [message for piece in cut(stream, random.Random(seed)) for message in parser.feed(piece)]
    assert found == list(FromClient().feed(stream))
    assert [message.command.name for message in found] == [
        *("CONNECTION_VALIDATION", "CREATE_CHANNEL", "GET", "PUT", "ECHO")
    ]
    assert (found[2].big, found[2].numbers("IIB"), found[3].payload) == (True, (1, 2, 8), b"abcdef")
    assert names_of(found[1]) == [(1, b"G:NUMBER"), (2, b"G:TEXT")]
    assert found[2].raw == SESSION[3]


@pytest.mark.parametrize("seed", range(200))
def test_spoiled_streams_are_messages_or_malformed(seed: int) -> None:
    """Nothing else is raised, and no more is kept than came."""
    chance = random.Random(seed)
    parser = FromClient()
    seen = 0
    try:
        for message in SESSION * 3:
            for found in parser.feed(spoiled(message, chance) if chance.random() < 0.3 else message):
                seen += 1
                if found.command is Command.CREATE_CHANNEL:
                    assert all(len(name) <= len(found.payload) for _, name in names_of(found))
    except Malformed:
        pass
    assert seen <= 3 * len(SESSION) * 4


def test_of_what_is_too_large_only_the_beginning_is_kept() -> None:
    parser = FromClient()
    beginning = bytes(range(40))
    assert list(parser.feed(packed(0x0B, beginning[:10], size=LARGEST + 1))) == []
    (large,) = parser.feed(beginning[10:])
    assert (large.command, large.payload, large.missing) == (Command.PUT, beginning[:16], LARGEST + 1 - 16)
    for _ in range(15):
        assert list(parser.feed(bytes(2**20))) == []
        assert len(parser._kept) == 0
    (after,) = parser.feed(bytes(LARGEST + 1 - 40 - 15 * 2**20) + SESSION[7])
    assert after.command is Command.ECHO


def test_segments_together_are_not_too_large() -> None:
    parser = FromClient()
    assert list(parser.feed(packed(0x0B, bytes(1000), flags=0x10))) == []
    with pytest.raises(Malformed, match="bytes"):
        list(parser.feed(packed(0x0B, b"", flags=0x20, size=LARGEST)))


@pytest.mark.parametrize("seed", range(20))
def test_answers_go_between_messages_of_the_server(seed: int) -> None:
    channel = packed(0x07, struct.pack("<IIB", 1, 77, 0xFF), flags=0x40)
    stream = packed(2, b"", flags=0x41) + packed(0x0A, bytes(50), flags=0x40) + channel + packed(0x02, b"", flags=0x40)
    parser = FromServer()
    found: list[Message] = []
    at, reached = 0, {0}
    for piece in cut(stream, random.Random(seed)):
        reach, about_channels = parser.feed(piece)
        found += about_channels
        reached.add(at + reach if reach else 0)
        at += len(piece)
        assert parser.between == (at in reached)
    assert reached <= {0, 8, 66, 83, 91}
    assert [message.numbers("II") for message in found] == [(1, 77)]


def test_answers_of_ours_are_those_of_a_server() -> None:
    answer = failure(Command.GET, 5, 8, "x" * 300, big=False)
    assert answer[:8] == packed(0x0A, b"", flags=0x40, size=len(answer) - 8)
    assert answer[8:14] == struct.pack("<IBB", 5, 8, 2)
    assert answer[14:19] == b"\xfe" + struct.pack("<I", 300)
    assert no_channel(3, "no", big=True)[8:17] == struct.pack(">IIB", 3, 2**32 - 1, 3)
