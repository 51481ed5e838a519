"""The network of a jail is as new in each run, though a network that nobody used serves several runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution import Program
from osprey_executor.execution.local import open_local
from osprey_executor.execution.local._engine import LocalEngine

LOOK = """
import os, socket
def rows(name):
    with open('/proc/self/net/' + name) as stream:
        return stream.read().splitlines()
left = [row for row in rows('unix') if 'left-by' in row]
counted = [int(word) for row in rows('dev')[2:] for word in row.split(':')[1].split()]
names = [name for name in rows('snmp') if name.startswith(('Udp:', 'Icmp:'))]
cookie = socket.socket().getsockopt(socket.SOL_SOCKET, 71, 8)  # SO_NETNS_COOKIE: never given twice
used = rows('sockstat')[0]
results = {'network': cookie.hex(), 'used': used, 'counted': sum(counted), 'left': left,
           'datagrams': [word for row in names[1::2] for word in row.split()[1:] if word != '0'],
           'labels': len(rows('ip6_flowlabel')) if os.path.exists('/proc/self/net/ip6_flowlabel') else 1}
"""
TALK = """
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b'x')
client.recv(1)
"""
DATAGRAM = "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))\n"
KEPT = """
child = os.fork()
if child == 0:
    os.setsid()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(b'\\0left-by-' + str(os.getpid()).encode())
    listening.listen()
    near, far = socket.socketpair()
    socket.send_fds(near, [b'x'], [far.fileno(), listening.fileno()])  # a circle that only the kernel can resolve
    os._exit(0)
os.waitpid(child, 0)
"""
GROUP = """
for option in (35, 39, 42, 46):
    line, group = socket.socket(type=socket.SOCK_DGRAM), bytes([239, 1, 2, 3, 127, 0, 0, 1])
    try: line.setsockopt(socket.IPPROTO_IP, option, group)
    except PermissionError: continue
    raise AssertionError('joined')
"""
LABEL = """
import struct
line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
request = struct.pack('!I', 0x12345) + struct.pack('=BBHHHI', 0, 255, 1, 60, 60, 0)  # a label that stays for a minute
line.setsockopt(socket.IPPROTO_IPV6, 32, socket.inet_pton(socket.AF_INET6, '::1') + request)
"""


async def look(engine: LocalEngine, and_then: str = "") -> dict[str, object]:
    outcome = await engine.run(Program(code=LOOK + and_then))
    assert outcome.error is None, (outcome.error, outcome.stderr)
    return outcome.results


TRACES = [TALK, DATAGRAM, KEPT, GROUP, *([LABEL] if Path("/proc/self/net/ip6_flowlabel").exists() else [])]


@pytest.mark.parametrize("trace", TRACES)
async def test_a_run_finds_nothing_of_the_networks_of_others(trace: str) -> None:
    async with open_local(ExecutionConfig()) as engine:
        assert engine.pool is not None
        assert await engine.pool.ready(), engine.pool.problem
        seen = [await look(engine, trace if number % 2 else "") for number in range(16)]
    assert {(one["counted"], one["labels"]) for one in seen} == {(0, 1)}
    assert len({one["used"] for one in seen}) == 1
    assert [one for one in seen if one["left"] or one["datagrams"]] == []
    networks = [one["network"] for one in seen]
    if trace in (TALK, DATAGRAM, LABEL):  # a circle of sockets the kernel may have cleared away in time
        assert [at for at in range(1, 16, 2) if networks[at] in networks[at + 1 :]] == []


async def test_networks_that_nobody_used_serve_again() -> None:
    async with open_local(ExecutionConfig()) as engine:
        assert engine.pool is not None
        assert await engine.pool.ready(), engine.pool.problem
        seen = [(await look(engine))["network"] for _ in range(16)]
    assert len(set(seen)) < len(seen)


BOUND = """
import json, socket
from osprey_executor.execution.local.jail import kernel
from osprey_executor.execution.local.jail.network import Networks
kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
networks = Networks([])
network = networks.enter()
held = socket.socket()
held.bind(("127.0.0.1", 5555))
networks.leave()
told = [network.is_new()]
held.close()
print(json.dumps([*told, network.is_new()]))
"""


def test_a_network_in_which_a_socket_is_left_is_not_new(as_user: Callable[..., str]) -> None:
    """A run may send its sockets to the service; one that is only bound shows in no list of the kernel."""
    assert json.loads(as_user(BOUND).splitlines()[-1]) == [False, True]
