"""The network that the configuration opens: exactly these endpoints, and nothing else. All of it on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Program
from osprey_executor.execution.local import _jail, open_local
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._jail import Walls
from osprey_executor.execution.local._network import Network
from osprey_executor.execution.local._relay import MOST_CONNECTIONS, Relay
from osprey_executor.execution.local.jail.listening import BACKLOG
from osprey_executor.models import Endpoint, RunStatus

TRY = """
import os, socket, urllib.request
results = {}
def attempt(name, work):
    try: results[name] = work()
    except OSError as error: results[name] = type(getattr(error, 'reason', error)).__name__
def ask(url): return lambda: urllib.request.urlopen(url, timeout=20).read().decode()
def connect(*place): return lambda: socket.create_connection(place, timeout=20).close()
def datagram(*place):
    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(20)
            probe.connect(place)
            probe.send(b'?')
            return probe.recv(9).decode()
    return work
"""
REFUSED = {"ConnectionRefusedError", "OSError", "gaierror", "PermissionError"}


@dataclass
class Outside:
    """A server on this machine's loopback that answers HTTP, or keeps silent."""

    port: int = 0
    silent: bool = False
    connections: int = 0
    open: int = 0
    most: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if self.silent:
                writer.write(b"!")
                await self.over.wait()
            head = await reader.read(1 << 20)
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nanswered " + head.split(b" ")[1] if b" " in head else b"")
            await writer.drain()
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def outside() -> AsyncGenerator[Outside]:
    served = Outside()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        served.over.set()
        while served.open:
            await asyncio.sleep(0.01)


@pytest.fixture
async def other() -> AsyncGenerator[Outside]:
    """Another server, which nothing is allowed to reach, and as a name server on the same UDP port."""
    served = Outside()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", served.port))
        names.setblocking(False)
        loop.add_reader(names, lambda: names.sendto(b"answered", names.recvfrom(9)[1]))
        try:
            yield served
        finally:
            loop.remove_reader(names)
            server.close()


@pytest.fixture
def led(monkeypatch: pytest.MonkeyPatch, outside: Outside) -> None:
    """Have every endpoint served by the server on loopback, whatever machine it names."""

    def relay(endpoints: tuple[Endpoint, ...]) -> Relay:
        return Relay([Endpoint("127.0.0.1", outside.port) for _ in endpoints])

    monkeypatch.setattr(_jail, "Relay", relay)


@contextlib.asynccontextmanager
async def engine_with(*network: str, forks: bool = False, walls: Walls | None = None) -> AsyncGenerator[LocalEngine]:
    config = ExecutionConfig.model_validate({"network": network, "fork_server": {"enabled": forks}})
    async with open_local(config, walls=walls) as engine:
        if forks:
            assert engine.pool is not None
            assert await engine.pool.ready(), engine.pool.problem
        yield engine


async def found(engine: LocalEngine, code: str) -> dict[str, Any]:
    outcome = await engine.run(Program(code=TRY + code))
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    return dict(outcome.results)


@pytest.mark.parametrize("forks", [False, True], ids=["fresh interpreter", "fork server"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_endpoint_answers_and_the_record_tells(outside: Outside, host: str, forks: bool) -> None:
    async with engine_with(f"{host}:{outside.port}", forks=forks) as engine:
        for _ in range(2):
            outcome = await engine.run(Program(code=f"{TRY}attempt('it', ask('http://{host}:{outside.port}/a'))"))
            assert outcome.results == {"it": "answered /a"}, outcome
            assert outcome.isolation.network == (f"{host}:{outside.port}",)
            assert not outcome.isolation.proven
            [note] = outcome.notes
            assert note.startswith(f"network: 1 connection to {host}:{outside.port}, ")
            assert " 0 B" not in note
        assert (await engine.identity())["network"] == [f"{host}:{outside.port}"]
        [told] = [probe for probe in await engine.probe() if probe.outcome != "ok"]
        assert told.outcome == "failed"  # as with all that is not proven
        assert f"execution.network opens {host}:{outside.port}:" in told.detail


@pytest.mark.usefixtures("led")
async def test_names_and_numbers_of_other_machines_need_no_change(outside: Outside) -> None:
    network = ("archiver.lab.test:80", "archiver.lab.test:8080", "other.lab.test:80", "10.0.0.5:5432", "[fd00::5]:9000")
    async with engine_with(*network) as engine:
        told = await found(engine, f"for name in {network!r}: attempt(name, ask(f'http://{{name}}/a'))")
        assert told == dict.fromkeys(network, "answered /a")
        assert outside.connections == len(network)


ELSEWHERE = """
attempt('port', connect('127.0.0.1', PORT))
attempt('name', connect('localhost', PORT))
attempt('beside', connect('10.0.0.5', PORT))
attempt('neighbour', connect('10.0.0.6', 5432))
attempt('udp', datagram('127.0.0.1', PORT))
attempt('udp beside', datagram('10.0.0.5', 5432))
attempt('udp away', datagram('192.0.2.1', 53))
attempt('dns', lambda: socket.getaddrinfo('elsewhere.lab.test', 80) and None)
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
"""


@pytest.mark.usefixtures("led")
@pytest.mark.parametrize("network", [("archiver.lab.test:80", "10.0.0.5:5432"), ()], ids=["a list", "no list"])
async def test_all_else_is_refused(outside: Outside, other: Outside, network: tuple[str, ...]) -> None:
    async with engine_with(*network) as engine:
        told = await found(engine, ELSEWHERE.replace("PORT", str(other.port)))
        assert {name: seen for name, seen in told.items() if seen not in REFUSED} == {}
        assert len(told) == 10
    assert outside.connections + other.connections == 0


async def test_that_all_else_is_refused_would_be_noticed(other: Outside) -> None:
    async with engine_with("10.0.0.5:5432", walls=Walls(network=False, seccomp=False)) as engine:
        told = await found(engine, ELSEWHERE.replace("PORT", str(other.port)).partition("attempt('beside'")[0])
        assert told == {"port": None, "name": None}
        told = await found(engine, f"attempt('udp', datagram('127.0.0.1', {other.port}))")
        assert told == {"udp": "answered"}
    assert other.connections == 2


async def test_without_a_list_the_endpoint_is_refused(outside: Outside) -> None:
    async with engine_with() as engine:
        assert engine.isolation.proven
        assert "network" not in await engine.identity()
        told = await found(engine, f"attempt('it', ask('http://127.0.0.1:{outside.port}/'))")
    assert told == {"it": "ConnectionRefusedError"}
    assert outside.connections == 0


async def test_the_code_holds_nothing_of_the_way_out(outside: Outside) -> None:
    code = """
kept = socket.create_connection(('127.0.0.1', PORT))
links = [os.path.realpath(f'/proc/self/fd/{number}') for number in os.listdir('/proc/self/fd')]
results['sockets'] = sum('socket' in link for link in links)
results['monitor'] = []
for number in range(20):
    try: results['monitor'].append(os.readlink(f'/proc/1/fd/{number}'))
    except OSError: pass
attempt('again', lambda: socket.create_server(('127.0.0.1', PORT)).close())
"""
    async with engine_with(f"127.0.0.1:{outside.port}") as engine:
        told = await found(engine, code.replace("PORT", str(outside.port)))
    assert told == {"sockets": 2, "monitor": [], "again": "OSError"}  # the runtime's, and the connection


async def test_an_endpoint_that_does_not_answer_is_told(outside: Outside) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    async with engine_with(f"127.0.0.1:{port}", "nowhere.invalid:80") as engine:
        for place, why in ((f"127.0.0.1:{port}", "Connection refused"), ("nowhere.invalid:80", "")):
            outcome = await engine.run(Program(code=f"{TRY}attempt('it', ask('http://{place}/'))"))
            assert outcome.results == {"it": "ConnectionResetError"}
            [note] = outcome.notes
            assert f"0 connections to {place}" in note
            assert f"1 failed ({why}" in note


async def test_what_was_sent_last_arrives() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        code = f"import socket\nsocket.create_connection(('127.0.0.1', {port})).sendall(b'x' * 300_000 + b'.')"
        async with engine_with(f"127.0.0.1:{port}") as engine:
            assert (await engine.run(Program(code=code))).status is RunStatus.SUCCEEDED
        async with asyncio.timeout(60):
            assert await heard == b"x" * 300_000 + b"."


async def test_a_flood_of_connections_is_bounded(outside: Outside, descriptors: Callable[[], int]) -> None:
    outside.silent = True
    code = f"""
import selectors
waiting = selectors.DefaultSelector()
kept = []
for _ in range(200):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(('127.0.0.1', {outside.port}))
    waiting.register(one, selectors.EVENT_READ)
    kept.append(one)
greeted = 0
while found := waiting.select(0.5 if greeted >= {MOST_CONNECTIONS} else 60):
    for key, _ in found:
        greeted += 1
        waiting.unregister(key.fileobj)
results.update(kept=len(kept), greeted=greeted)
"""
    async with engine_with(f"127.0.0.1:{outside.port}") as engine:
        await found(engine, "")
        before = descriptors()
        outcome = await engine.run(Program(code=TRY + code))
        assert outcome.results == {"kept": 200, "greeted": MOST_CONNECTIONS}
        # When the code has ended, those that waited in the kernel may get their turn, one more than told.
        assert outside.connections <= MOST_CONNECTIONS + BACKLOG + 1
        # The server's own, of this very process, are all that is left.
        assert descriptors() <= before + outside.open


async def test_more_than_the_bound_one_after_the_other(outside: Outside) -> None:
    many = 3 * MOST_CONNECTIONS
    code = f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor({many}) as pool:
    results['all'] = list(pool.map(lambda n: ask(f'http://127.0.0.1:{outside.port}/{{n}}')(), range({many})))
"""
    async with engine_with(f"127.0.0.1:{outside.port}") as engine:
        told = await found(engine, code)
    assert told == {"all": [f"answered /{number}" for number in range(many)]}
    assert outside.most <= MOST_CONNECTIONS


async def test_a_slow_endpoint_slows_the_code_and_fills_no_memory(outside: Outside) -> None:
    outside.silent = True
    code = f"""
one = socket.create_connection(('127.0.0.1', {outside.port}))
one.settimeout(2)
results['sent'] = 0
try:
    while results['sent'] < 256 << 20: results['sent'] += one.send(bytes(1 << 20))
except TimeoutError: results['waits'] = True
"""
    async with engine_with(f"127.0.0.1:{outside.port}") as engine:
        told = await found(engine, code)
    assert told["waits"]
    assert told["sent"] < 256 << 20


async def test_cancelling_a_run_closes_its_connections(outside: Outside) -> None:
    outside.silent = True
    code = f"import socket, time\nkept = socket.create_connection(('127.0.0.1', {outside.port}))\ntime.sleep(600)"
    async with engine_with(f"127.0.0.1:{outside.port}") as engine:
        run = asyncio.create_task(engine.run(Program(code=code)))
        while not outside.connections:
            await asyncio.sleep(0.01)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert [task for task in asyncio.all_tasks() if "Relay" in str(task.get_coro())] == []


async def test_a_port_that_the_kernel_does_not_give_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "places", [("127.0.0.1", 7), ("127.0.0.1", 7)])
    with pytest.raises(EngineUnavailableError, match=r"(?s)listen on 127.0.0.1 port 7.*execution.network"):
        async with engine_with("127.0.0.1:7"):
            pass


AS_USER = """
import asyncio, json, os, sys
from osprey_executor.execution import Program, open_engine
from osprey_executor.execution.local import _jail
from osprey_executor.execution.local._relay import Relay
from osprey_executor.models import Endpoint

NETWORK = ["archiver.lab.test:80", "10.0.0.5:443", "[::1]:9000"]

async def answer(reader, writer):
    head = await reader.readline()
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nanswered " + head.split(b" ")[1])
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _jail.Relay = lambda endpoints: Relay([Endpoint("127.0.0.1", port) for _ in endpoints])
    code = TRY + f'''
for name in {NETWORK!r}: attempt(name, ask(f'http://{{name}}/a'))
attempt('host', connect('127.0.0.1', {port}))
attempt('away', connect('10.0.0.6', 443))
'''
    told = {"uid": os.getuid()}
    for forks in (False, True):
        async with open_engine("local", {"network": NETWORK, "fork_server": {"enabled": forks}}) as engine:
            if forks:
                assert await engine.pool.ready(), engine.pool.problem
            told[str(forks)] = dict((await engine.run(Program(code=code))).results)
    server.close()
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.mark.parametrize("stay_root", [False, True], ids=["ordinary user", "as the tests"])
def test_an_ordinary_user_has_the_same_network(as_user: Callable[..., str], stay_root: bool) -> None:
    told = json.loads(as_user(AS_USER.replace("TRY +", f"{TRY!r} +"), stay_root=stay_root).splitlines()[-1])
    assert stay_root or told["uid"] != 0
    expected = {
        **dict.fromkeys(("archiver.lab.test:80", "10.0.0.5:443", "[::1]:9000"), "answered /a"),
        "host": "ConnectionRefusedError",
        "away": "OSError",
    }
    assert told["False"] == told["True"] == expected


def test_each_name_has_an_address_of_its_own() -> None:
    network = Network(["b.test:80", "127.77.0.1:80", "a.test:80", "b.test:81", "localhost:82", "[::1]:83"])
    assert network.places == [
        ("127.77.0.2", 80),
        ("127.77.0.1", 80),
        ("127.77.0.3", 80),
        ("127.77.0.2", 81),
        ("127.0.0.1", 82),
        ("::1", 83),
    ]
    assert network.hosts == "127.77.0.2 b.test\n127.77.0.3 a.test\n"


GUARDED = """
import ctypes, fcntl, json, socket, struct
from osprey_executor.execution.local import _seccomp
from osprey_executor.execution.local.jail import kernel

def tried():
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        interface = struct.pack("16sH14x", b"lo", 1)
        for name, work in {
            "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
            "raw6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 58).close(),
            "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
            "old packet": lambda: socket.socket(socket.AF_INET, 10).close(),
            "interface": lambda: fcntl.ioctl(four, 0x8914, interface) and None,
            "bridge": lambda: fcntl.ioctl(four, 0x89A0, b"br0") and None,
            "private": lambda: fcntl.ioctl(four, 0x89F1, bytes(40)) and None,
            "netfilter": lambda: four.setsockopt(socket.IPPROTO_IP, 64, bytes(200)),
            "netfilter6": lambda: six.setsockopt(socket.IPPROTO_IPV6, 64, bytes(200)),
            "read netfilter": lambda: four.getsockopt(socket.IPPROTO_IP, 64, 84) and None,
            "ask for interface": lambda: fcntl.ioctl(four, 0x8913, interface) and None,
            "traffic class": lambda: six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 8),
            "time to live": lambda: four.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 8),
        }.items():
            try: told = work()
            except OSError as error: told = error.strerror
            yield name, told

guards = _seccomp.programs().code[-1]
kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
before = dict(tried())
kernel.take(kernel.no_new_privileges())
held = ctypes.create_string_buffer(guards, len(guards))
given = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(guards) // 8, ctypes.addressof(held)), 16)
assert ctypes.CDLL(None).prctl(22, 2, ctypes.c_void_p(ctypes.addressof(given)), 0, 0) == 0  # PR_SET_SECCOMP
print(json.dumps([before, dict(tried())]))
"""


def test_the_filter_refuses_even_who_has_the_power(as_user: Callable[..., str]) -> None:
    before, after = json.loads(as_user(GUARDED).splitlines()[-1])
    powers = {"raw", "raw6", "packet", "old packet", "interface"}
    assert {name: before[name] for name in powers} == dict.fromkeys(powers), "the process has the power to do it"
    no, no_type, no_family = "Operation not permitted", "Socket type not supported", "Address family not supported"
    assert no not in before.values()
    assert after == {
        **dict.fromkeys(("raw", "raw6", "old packet"), no_type),
        "packet": f"{no_family} by protocol",
        **dict.fromkeys(("interface", "bridge", "private", "netfilter", "netfilter6", "read netfilter"), no),
        "ask for interface": no,
        **dict.fromkeys(("traffic class", "time to live")),
    }
