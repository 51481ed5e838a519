"""Things of the host that a sandbox must not reach, put up for as long as it is being probed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bait:
    """Where they are."""

    file: Path
    tcp: int
    udp: int
    abstract: str
    datagrams: Path
    processes: tuple[int, ...]


@asynccontextmanager
async def bait(root: Path) -> AsyncGenerator[Bait]:
    """Put up a file that anybody may read, a TCP and a UDP port on loopback, and two unix sockets."""
    loop = asyncio.get_running_loop()
    file = root / "host-file"
    file.write_text("of the host\n", encoding="ascii")
    file.chmod(0o444)
    name = f"osprey-executor-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as open_sockets:
        tcp = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = open_sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        abstract = open_sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        abstract.bind("\0" + name)
        abstract.listen()
        datagrams = open_sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagrams.bind(str(root / "datagrams"))
        (root / "datagrams").chmod(0o666)
        loop.add_reader(udp, _echo, udp)
        open_sockets.callback(loop.remove_reader, udp)
        processes = tuple(process for process in (os.getpid(), os.getppid()) if process > 0)
        yield Bait(file, tcp.getsockname()[1], udp.getsockname()[1], name, root / "datagrams", processes)
    file.unlink()
    (root / "datagrams").unlink()


def _echo(udp: socket.socket) -> None:
    with contextlib.suppress(OSError):
        message, sender = udp.recvfrom(512)
        udp.sendto(message, sender)
