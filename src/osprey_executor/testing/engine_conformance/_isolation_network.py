"""The network: nothing that listens on this machine is reached, by no kind of socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from osprey_executor.models import RunStatus
from osprey_executor.testing.engine_conformance._bench import Bench

_QUERY = rb"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x00\x00\x01\x00\x01"


class Listener:
    """A socket of the host that counts what has reached it."""

    def __init__(self, family: int, kind: int, address: Any) -> None:
        """Listen at `address`."""
        self._socket = socket.socket(family, kind)
        self._socket.setblocking(False)
        self._socket.bind(address)
        self._take = self._message if kind == socket.SOCK_DGRAM else self._connection
        if kind == socket.SOCK_STREAM:
            self._socket.listen()
        self.address: Any = self._socket.getsockname()

    @property
    def reached(self) -> int:
        """How many connections or messages have come since this was last asked."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take()
                count += 1
        return count

    def _message(self) -> None:
        self._socket.recv(4096)

    def _connection(self) -> None:
        self._socket.accept()[0].close()

    def close(self) -> None:
        """Stop."""
        self._socket.close()


Listen = Callable[[int, int, Any], Listener]


class TestIsolationOfNetwork:
    """Each attack tries a listener that is really there, and that must not have been reached."""

    @pytest.fixture
    def listen(self) -> Iterator[Listen]:
        """Make listeners that end with the test."""
        with contextlib.ExitStack() as made:

            def listen(family: int, kind: int, address: Any) -> Listener:
                return made.enter_context(contextlib.closing(Listener(family, kind, address)))

            yield listen

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_tcp(self, bench: Bench, listen: Listen, name: str) -> None:
        there = listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        bench.attack(f"socket.create_connection(({name!r}, {there.address[1]}), timeout=5)")
        assert there.reached == 0

    def test_tcp_by_the_other_family(self, bench: Bench, listen: Listen) -> None:
        there = listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        bench.attack(
            f"""
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.settimeout(5)
                probe.connect(("::ffff:127.0.0.1", {there.address[1]}))
            """
        )
        assert there.reached == 0

    def test_udp_and_so_name_servers(self, bench: Bench, listen: Listen) -> None:
        there = listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        bench.attack(
            f"""
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.settimeout(2)
                probe.connect(("127.0.0.1", {there.address[1]}))
                probe.send({_QUERY!r})
                return probe.recv(512)
            """
        )
        assert there.reached == 0

    @pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
    def test_unix_sockets(self, bench: Bench, listen: Listen, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "s"
        there = listen(socket.AF_UNIX, getattr(socket, kind), str(path))
        for opened in (tmp_path.parent, tmp_path, path):
            opened.chmod(0o777)
        bench.attack(
            f"""
            with socket.socket(socket.AF_UNIX, socket.{kind}) as probe:
                probe.connect({str(path)!r})
                probe.send(b"x")
            """
        )
        assert there.reached == 0

    @pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
    def test_abstract_sockets(self, bench: Bench, listen: Listen, kind: str) -> None:
        name = f"\0conformance-{uuid4().hex}"
        there = listen(socket.AF_UNIX, getattr(socket, kind), name)
        bench.attack(
            f"""
            with socket.socket(socket.AF_UNIX, socket.{kind}) as probe:
                probe.connect({name!r})
                probe.send(b"x")
            """
        )
        assert there.reached == 0

    @pytest.mark.parametrize(
        "made",
        ["AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP", "AF_PACKET, socket.SOCK_RAW", "AF_NETLINK, socket.SOCK_RAW"],
        ids=["raw", "packet", "netlink"],
    )
    def test_sockets_below_the_protocols(self, bench: Bench, made: str) -> None:
        bench.attack(f"return socket.socket(socket.{made})")


class TestLoopback:
    """What a program may do with itself."""

    def test_a_program_talks_to_itself_only_where_it_is_said_to(self, bench: Bench) -> None:
        code = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
    far = server.accept()[0]
    near.send(b"x")
    results = {"heard": far.recv(1)}
"""
        outcome = bench.run(code)
        assert (outcome.status is RunStatus.SUCCEEDED) == bench.expected.loopback, outcome.error
