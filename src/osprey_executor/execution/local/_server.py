"""A fork server as the service sees it: a process to start, spares to ask for, and an end to notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from osprey_executor.execution.local._cgroup import RunGroup
from osprey_executor.execution.local._jail_process import complaint, launch
from osprey_executor.execution.local._refusals import explain
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._spare import Spare
from osprey_executor.text import visible

_MESSAGE = 4096
_PATIENCE = 2.0
"""Seconds that the server has to end before it is killed."""


class ForkServer:
    """One server process and all below it."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        on_end: Callable[[], None],
        take_group: Callable[[], RunGroup | None] = lambda: None,
    ) -> None:
        """Start it; `spec` lacks only the descriptors.

        Args:
            spec: a `ServerSpec`.
            on_end: called when it has ended, for whatever reason.
            take_group: gives a control group for a jail, where there is one.

        Raises:
            LaunchError: no process or descriptor is to be had.
        """
        self._loop = asyncio.get_running_loop()
        self._on_end, self._take_group = on_end, take_group
        self._fetching = asyncio.Lock()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when it serves; fails with LaunchError where it never will."""
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._retired = False
        self.runs = self.alive = 0
        """Jails asked for so far, and those that are not gone yet."""
        with contextlib.ExitStack() as undo:
            try:
                self._control, control = (undo.enter_context(end) for end in _packets())
                self._trees, trees = (undo.enter_context(end) for end in _packets())
                told = {**spec, "control": control.fileno(), "trees": trees.fileno()}
                self._process = launch("server", told, [control.fileno(), trees.fileno()])
                undo.callback(self._process.wait)
                undo.callback(self._process.kill)
                self._process_fd = os.pidfd_open(self._process.pid)
            except OSError as error:
                raise LaunchError(f"the fork server cannot be started: {error}") from error
            control.close()
            trees.close()
            self._control.setblocking(False)
            self._trees.setblocking(False)
            undo.pop_all()
        self._loop.add_reader(self._control, self._hear)
        self._loop.add_reader(self._process_fd, self._note_end)

    @property
    def serves(self) -> bool:
        """Whether jails can be asked for."""
        return self.ready.done() and not self.ended.done() and self.ready.exception() is None

    def spawn(self) -> Spare:
        """Ask for a jail.

        Raises:
            LaunchError: the server is gone, or no descriptors are to be had.
        """
        spare = Spare(lambda ends: _send(self._control, ends), self._one_gone, self._kill, self._take_group())
        self.runs += 1
        self.alive += 1
        return spare

    async def fetch(self, path: str) -> int:
        """Return a descriptor of a read-only copy of the mount at a host file, for a jail.

        Raises:
            LaunchError: the file cannot be shown, or the server is gone.
        """
        exchange = asyncio.create_task(self._fetch(path))
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            exchange.add_done_callback(_close_unwanted)  # the answer comes all the same
            raise

    async def _fetch(self, path: str) -> int:
        async with self._fetching:
            try:
                await self._loop.sock_sendall(self._trees, os.fsencode(path))
                answer, rights = await self._receive_tree()
            except OSError as error:
                raise LaunchError(f"the fork server gives no {path}: {error}") from error
        if not rights:
            raise LaunchError(f"{path} cannot be shown to the program: {answer.decode(errors='replace')}")
        return rights[0]

    def retire(self) -> None:
        """End the server as soon as none of its jails is left."""
        self._retired = True
        if self.alive == 0:
            self.close()

    def close(self) -> None:
        """Order the end of the server and of all its jails; `ended` tells when they are gone."""
        if self.ended.done():
            return
        for line in (self._trees, self._control):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
        self._loop.call_later(_PATIENCE, self._kill)

    def _kill(self) -> None:
        """End the launcher, and with it all below it."""
        if not self.ended.done():
            self._process.kill()

    async def _receive_tree(self) -> tuple[bytes, list[int]]:
        arrived = self._loop.create_future()
        self._loop.add_reader(self._trees, lambda: arrived.done() or arrived.set_result(None))
        try:
            await arrived
            message, rights, _, _ = socket.recv_fds(self._trees, _MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        finally:
            self._loop.remove_reader(self._trees)
        if not message:
            raise ConnectionError("it ended")
        return message, rights

    def _one_gone(self) -> None:
        self.alive -= 1
        if self._retired and self.alive == 0:
            self.close()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while message := self._heard():
                kind, _, rest = message.partition(" ")
                match kind:
                    case "ready":
                        self._be_ready(None)
                    case "unfit":
                        self._be_ready(f"this environment cannot be served by forks: {visible(rest)}")
                    case "refused":
                        number, _, what = rest.partition(" ")
                        known = int(number) if number.isdecimal() and len(number) < 5 else 0
                        self._be_ready(explain(known, visible(what), os.path.realpath(sys.executable)))
                    case "broken":
                        self._be_ready(f"the keeper of the fork server broke: {rest}")
                    case _:  # ended: the process end follows
                        pass
            self._loop.remove_reader(self._control)

    def _heard(self) -> str:
        try:
            return self._control.recv(_MESSAGE).decode(errors="replace")
        except ConnectionError:
            return ""

    def _be_ready(self, problem: str | None) -> None:
        if self.ready.done():
            return
        if problem is None:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(LaunchError(problem))

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process_fd)
        self._process.wait()
        self._hear()
        self._loop.remove_reader(self._control)
        self._be_ready(f"the fork server ended with {self._process.returncode}: {complaint(self._process)}")
        if self._process.stderr is not None:
            self._process.stderr.close()
        os.close(self._process_fd)
        self._control.close()
        self._trees.close()
        self.ended.set_result(None)
        self._on_end()


def _packets() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _close_unwanted(exchange: asyncio.Task[int]) -> None:
    if not exchange.cancelled() and exchange.exception() is None:
        os.close(exchange.result())


def _send(line: socket.socket, descriptors: list[int]) -> None:
    socket.send_fds(line, [b"spawn"], descriptors)
