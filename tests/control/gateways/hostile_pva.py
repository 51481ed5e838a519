"""Writes to a PVAccess server without any library, in as many spellings as the protocol has. Runs in a sandbox."""

import socket
import struct

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
