"""Ways to write without any library: bytes of Channel Access and PVAccess on the program's own loopback."""

from __future__ import annotations

_RAW = """
import socket, struct, time
near = socket.create_connection(("127.0.0.1", 5064), timeout=5)
def send(command, payload=b"", kind=0, count=0, first=0, second=0):
    near.sendall(struct.pack(">HHHHII", command, len(payload), kind, count, first, second) + payload)
def exactly(size):
    body = b""
    while len(body) < size:
        body += near.recv(size - len(body)) or exit("closed")
    return body
def receive(wanted):
    while True:
        command, size, kind, count, first, second = struct.unpack(">HHHHII", exactly(16))
        body = exactly(size)
        if command in (wanted, 11):
            return first, second, body
def text(words):
    raw = words.encode() + bytes(1)
    return raw + bytes(-len(raw) % 8)
def open_channel(name):
    send(0, kind=0, count=13)
    send(20, text("root"))
    send(21, text("console"))
    send(18, text(name), first=7, second=13)
    return receive(18)[1]
"""

_PVA = """
import socket, struct
near = socket.create_connection(("127.0.0.1", 5075), timeout=5)
def send(command, payload):
    near.sendall(struct.pack("<BBBBI", 0xCA, 2, 0, command, len(payload)) + payload)
def exactly(size):
    body = b""
    while len(body) < size:
        body += near.recv(size - len(body)) or exit("closed")
    return body
def receive(wanted):
    while True:
        head = exactly(8)
        body = b"" if head[2] & 1 else exactly(int.from_bytes(head[4:], "big" if head[2] & 0x80 else "little"))
        if not head[2] & 1 and head[3] == wanted:
            return body
def text(words):
    return bytes([len(words)]) + words.encode()
def open_channel(name):
    send(1, struct.pack("<IHH", 0x10000, 0x7FFF, 0) + text("anonymous") + bytes([255]))
    receive(9)
    send(7, struct.pack("<HI", 1, 1) + text(name))
    return struct.unpack("<II", receive(7)[:8])[1]
sid = open_channel(CHANNEL)
"""

_FIVE = "struct.pack('>d', 5.0)"


def _ca(sent: str, name: str = "CHANNEL") -> str:
    return f"{_RAW}\nsid = open_channel({name})\n{sent}"


PROTOCOLS: dict[str, dict[str, str]] = {
    "raw": {
        "WRITE, raw": _ca(f"send(4, {_FIVE}, 6, 1, sid, 1)\nsend(23)\nreceive(23)"),
        "WRITE_NOTIFY, raw": _ca(f"send(19, {_FIVE}, 6, 1, sid, 1)\nreceive(19)"),
        "WRITE and gone, raw": _ca(f"send(4, {_FIVE}, 6, 1, sid, 1)\nnear.close()"),
        "WRITE byte by byte, raw": _ca(f"""
for byte in struct.pack(">HHHHII", 4, 8, 6, 1, sid, 1) + {_FIVE}:
    near.sendall(bytes([byte]))
send(23)
receive(23)
"""),
        "WRITE with a long head, raw": _ca(f"""
near.sendall(struct.pack(">HHHHIIII", 4, 0xFFFF, 6, 0, sid, 1, 8, 1) + {_FIVE})
send(23)
receive(23)
"""),
        "WRITE as a short, raw": _ca("send(19, struct.pack('>h', 5) + bytes(6), 1, 1, sid, 1)\nreceive(19)"),
        "a text for a number, raw": _ca("send(19, b'5.0'.ljust(40, bytes(1)), 0, 1, sid, 1)\nreceive(19)"),
        "an array for a number, raw": _ca("send(19, struct.pack('>2d', 5.0, 5.0), 6, 2, sid, 1)\nreceive(19)"),
        "more than was sent, raw": _ca(f"send(19, {_FIVE}, 6, 9, sid, 1)\nreceive(19)"),
        ".VAL, raw": _ca(f"send(19, {_FIVE}, 6, 1, sid, 1)\nreceive(19)", "CHANNEL + '.VAL'"),
        ".DESC$, raw": _ca("send(19, b'mine'.ljust(8, bytes(1)), 4, 5, sid, 1)\nreceive(19)", "CHANNEL + '.DESC$'"),
        "a filter, raw": _ca(f"send(19, {_FIVE}, 6, 1, sid, 1)\nreceive(19)", "CHANNEL + '.{}'"),
        "alarms acknowledged, raw": _ca("send(19, bytes(8), 36, 1, sid, 1)\nreceive(19)"),
        "UDP writes": f"""
import socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
    name = CHANNEL.encode().ljust(16, bytes(1))
    for port in (5064, 5065, 5075, 5076, PORT):
        for command in (4, 19):
            near.sendto(struct.pack(">HHHHII", 18, 16, 0, 0, 1, 13) + name
                        + struct.pack(">HHHHII", command, 8, 6, 1, 1, 1) + {_FIVE}, ("127.0.0.1", port))
""",
    },
    "raw PVAccess": {
        "PUT, raw": f"""{_PVA}
send(11, struct.pack("<IIB", sid, 1, 8) + bytes([253, 1, 0, 128, 0, 0]))
receive(11)
send(11, struct.pack("<IIB", sid, 1, 0) + bytes([1, 2]) + struct.pack("<d", 5.0))
seen = receive(11)[5:60]
""",
        "a PVAccess process request, raw": f"""{_PVA}
send(16, struct.pack("<IIB", sid, 1, 8) + bytes([255]))
seen = receive(16)[5:60]
send(16, struct.pack("<IIB", sid, 1, 0))
""",
    },
}
