"""Things of the host that a sandbox must not reach, put up for as long as it is being probed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.patience import uninterrupted


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
    with contextlib.ExitStack() as put_up:
        # To its end also when cancelled: what is put up after the stack was closed would stay.
        there, udp = await uninterrupted(asyncio.to_thread(_put_up, root, put_up))
        loop.add_reader(udp, _echo, udp)
        try:
            yield there
        finally:
            loop.remove_reader(udp)
            await uninterrupted(asyncio.to_thread(put_up.close))


def _put_up(root: Path, undo: contextlib.ExitStack) -> tuple[Bait, socket.socket]:
    # A folder of its own: a new fork server may be looked at while somebody asks the doctor.
    # Short names: the path of a unix socket has little room.
    folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="", dir=root)))
    folder.chmod(0o755)
    file = folder / "host-file"
    file.write_text("of the host\n", encoding="ascii")
    file.chmod(0o444)
    tcp = undo.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    abstract = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    name = f"osprey-executor-{secrets.token_hex(8)}"
    abstract.bind("\0" + name)
    abstract.listen()
    datagrams = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    datagrams.bind(str(folder / "d"))
    (folder / "d").chmod(0o666)
    processes = tuple(process for process in (os.getpid(), os.getppid()) if process > 0)
    there = Bait(file, tcp.getsockname()[1], udp.getsockname()[1], name, folder / "d", processes)
    return there, udp


def _echo(udp: socket.socket) -> None:
    with contextlib.suppress(OSError):
        message, sender = udp.recvfrom(512)
        udp.sendto(message, sender)
