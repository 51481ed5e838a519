"""Writes to a PVAccess server without any library, in as many spellings as the protocol has. Runs in a sandbox."""

import socket
import struct
from random import Random

PORT = 5075


def packed(command, payload):
    return struct.pack("<BBBBI", 0xCA, 2, 0, command, len(payload)) + payload


def text(words):
    return bytes([len(words)]) + words.encode()


def options(**record):
    """Return a pvRequest with record._options, each a text."""
    fields = b"".join(text(name) + b"\x60" for name in record)
    inner = b"\x80" + text("") + bytes([len(record)]) + fields
    kind = b"\x80" + text("") + b"\x01" + text("record") + b"\x80" + text("") + b"\x01" + text("_options") + inner
    return kind + b"".join(text(value) for value in record.values())


class Client:
    def __init__(self, user="operator"):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=20)
        self.stream = self.socket.makefile("rb")
        claim = b"\x80" + text("") + b"\x01" + text("user") + b"\x60" + text(user)
        self.send(packed(1, struct.pack("<IHH", 0x10000, 0x7FFF, 0) + text("ca") + claim))
        self.answer(9)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, message):
        self.socket.sendall(message)

    def answer(self, command):
        while True:
            head = self.stream.read(8)
            if len(head) < 8:
                raise ConnectionError("closed")
            payload = b"" if head[2] & 1 else self.stream.read(int.from_bytes(head[4:], "little"))
            if not head[2] & 1 and head[3] == command:
                return payload

    def channel(self, name):
        self.send(packed(7, struct.pack("<HI", 1, 1) + text(name)))
        return struct.unpack_from("<II", self.answer(7))[1]

    def operate(self, command, sid, subcommand, rest):
        self.send(packed(command, struct.pack("<IIB", sid, 5, subcommand) + rest))
        return self.answer(command)


def put(name, value, request, kind="<d", subcommand=0, user="operator"):
    with Client(user) as client:
        sid = client.channel(name)
        client.operate(0x0B, sid, 8, request)
        return client.operate(0x0B, sid, subcommand, b"\x01\x02" + struct.pack(kind, value))[5]


def command(number, name, request=b"\xff"):
    with Client() as client:
        return client.operate(number, client.channel(name), 8, request)[5]


def rpc(name):
    query = b"\x80" + text("") + b"\x01" + text("number") + b"\x43"
    argument = b"\x80" + text("epics:nt/NTURI:1.0") + b"\x02" + text("path") + b"\x60" + text("query") + query
    with Client() as client:
        sid = client.channel(name)
        client.operate(0x14, sid, 8, b"\xff")
        return client.operate(0x14, sid, 0, argument + text(name) + struct.pack("<d", 4.0))[5]


ATTACKS = {
    "put": lambda: put("P:NUMBER", 4.5, b"\xff"),
    "put as another user": lambda: put("P:NUMBER", 4.6, b"\xff", user="root"),
    "put and process": lambda: put("P:OPTIONS", 4.7, options(process="true")),
    "put and block": lambda: put("P:NUMBER", 4.8, options(block="true", process="force")),
    "put and destroy": lambda: put("P:NUMBER", 4.9, b"\xff", subcommand=0x10),
    "put a whole number": lambda: put("P:WHOLE", 11, b"\xff", "<q"),
    "rpc": lambda: rpc("P:COMMAND"),
    "putGet": lambda: command(0x0C, "P:NUMBER"),
    "process": lambda: command(0x10, "P:NUMBER"),
    "array": lambda: command(0x0E, "P:ROW"),
}
"""Each returns the kind of the status that it got: 255 is a success, 2 and 3 are failures."""


def spoiled(message, random):
    """Return a message with a few bytes changed, cut, repeated or made up."""
    spoilt = bytearray(message)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(spoilt)) if spoilt else 0
        match random.randrange(6):
            case 0:
                spoilt[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                spoilt[at : at + 1] = bytes([random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))])
            case 2:
                del spoilt[at : at + random.randint(1, 8)]
            case 3:
                spoilt[at:at] = random.randbytes(random.randint(1, 8))
            case 4:
                spoilt[at:at] = spoilt[at : at + random.randint(1, 16)]
            case _:
                # The payload, with a head that fits: what is in it gets past whoever looks at heads alone.
                body = bytes(spoilt[8:])
                spoilt[:] = packed(spoilt[3] if len(spoilt) > 3 else 10, body[: random.randint(0, len(body))])
    return bytes(spoilt)


def fuzz(rounds, seed):
    """Say spoiled things; return how many connections were closed on us, and how many still answered."""
    random = Random(seed)
    told = {"closed": 0, "answered": 0}
    for _ in range(rounds):
        try:
            with Client() as client:
                client.socket.settimeout(5)
                sid = client.channel("P:NUMBER")
                client.operate(0x14, sid, 0x08, b"\xff")
                at = struct.pack("<I", sid)

                def say(command, ioid, subcommand, rest=b"", at=at):
                    return packed(command, at + struct.pack("<IB", ioid, subcommand) + rest)

                messages = [
                    say(0x0A, 1, 0x08, options(process="true")),
                    say(0x0A, 1, 0x40),
                    say(0x0B, 2, 0x08, b"\xff"),
                    say(0x0B, 2, 0x40),
                    say(0x0B, 2, 0x00, b"\x01\x02" + struct.pack("<d", 4.5)),
                    say(0x0D, 3, 0x88, options(pipeline="true", queueSize="4") + struct.pack("<I", 4)),
                    say(0x0D, 3, 0x44),
                    say(0x0D, 3, 0x80, struct.pack("<I", 2)),
                    say(0x14, 4, 0x08, b"\xff"),
                    say(0x14, 5, 0x00, b"\x80" + text("") + b"\x01" + text("x") + b"\x43" + struct.pack("<d", 1.0)),
                    say(0x10, 7, 0x08, b"\xff"),
                    packed(0x11, at + struct.pack("<I", 6) + text("")),
                    packed(
                        3,
                        struct.pack("<IB", 1, 0x81) + bytes(21) + b"\x01" + text("tcp") + b"\x01\x00" + at + text("X"),
                    ),
                    packed(7, struct.pack("<HI", 1, 2) + text("P:WHOLE")),
                    packed(0x0F, at + struct.pack("<I", 2)),
                    packed(0x15, at + struct.pack("<I", 3)),
                    packed(8, at + struct.pack("<I", 1)),
                    packed(1, struct.pack("<IHH", 0x10000, 0x7FFF, 0) + text("ca") + options(user="x")),
                    packed(0x12, struct.pack("<IB", 3, 1) + text("hello")),
                ]
                for message in messages:
                    client.send(spoiled(message, random) if random.random() < 0.05 else message)
                client.send(packed(2, b"still there"))
                client.socket.shutdown(socket.SHUT_WR)
                while client.answer(2) != b"still there":
                    pass
                told["answered"] += 1
        except OSError:
            told["closed"] += 1
    return told
