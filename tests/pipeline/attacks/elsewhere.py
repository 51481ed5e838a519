"""Ways to write past the gateway: the machine itself, by other addresses and other doors."""

from __future__ import annotations

_DIRECT = """
import socket, struct
def put(address, family=socket.AF_INET):
    near = socket.socket(family, socket.SOCK_STREAM)
    near.settimeout(1)
    near.connect(address)
    name = CHANNEL.encode().ljust(16, bytes(1))
    near.sendall(struct.pack(">HHHHII", 0, 0, 0, 13, 0, 0) + struct.pack(">HHHHII", 18, 16, 0, 0, 7, 13) + name)
    body = b""
    while True:
        body += near.recv(4096) or exit("closed")
        at, sid = 0, None
        while at + 16 <= len(body):
            command, size, _, _, _, second = struct.unpack_from(">HHHHII", body, at)
            at += 16 + size
            if command == 18:
                sid = second
        if sid is not None:
            break
    near.sendall(struct.pack(">HHHHII", 19, 8, 6, 1, sid, 1) + struct.pack(">d", 5.0))
    near.recv(4096)
"""

_SET = """
import os, subprocess, sys
code = "import aioca, asyncio, sys; asyncio.run(aioca.caput(sys.argv[1], 5.0, wait=True, timeout=2))"
world = {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}
"""

ELSEWHERE: dict[str, dict[str, str]] = {
    "elsewhere": {
        "the IOC's own port": f"{_DIRECT}\nput(('127.0.0.1', PORT))",
        "the IOC's port by IPv6": f"{_DIRECT}\nput(('::ffff:127.0.0.1', PORT), socket.AF_INET6)",
        "the IOC's port by 0.0.0.0": f"{_DIRECT}\nput(('0.0.0.0', PORT))",
        "the IOC's port by every address of the host": f"""{_DIRECT}
for address in ADDRESSES:
    try:
        put((address, PORT))
    except OSError as error:
        seen = str(error)
""",
        "EPICS_CA_ADDR_LIST": f"""{_SET}
world |= {{"EPICS_CA_ADDR_LIST": f"127.0.0.1:{{PORT}}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}}
subprocess.run([sys.executable, "-c", code, CHANNEL], env=world, timeout=6, capture_output=True)
""",
        "EPICS_CA_NAME_SERVERS": f"""{_SET}
world |= {{"EPICS_CA_NAME_SERVERS": f"127.0.0.1:{{PORT}}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}}
subprocess.run([sys.executable, "-c", code, CHANNEL], env=world, timeout=6, capture_output=True)
""",
    },
}
