"""What the service holds of one jail: pipes, the link to the guest, and the line on which the jail tells its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from osprey_executor.execution.local._cgroup import RunGroup
from osprey_executor.execution.local._collect import is_untouched
from osprey_executor.execution.local._refusals import explain
from osprey_executor.execution.local._sandbox import Ending, Exceeded, LaunchError, NeverBegan

if TYPE_CHECKING:
    from osprey_executor.execution.local._gateways import RunGateways
    from osprey_executor.execution.local._relay import Relay

_MESSAGE = 4096
_MOST_RIGHTS = 64


class JailLine(ABC):
    """The service's ends, and what was heard so far. Base of whatever starts and ends a jail."""

    stdout: int
    stderr: int

    def __init__(self, *, linked: bool) -> None:
        """Make all pairs; the far ends wait in `far` for whoever passes them on and closes them.

        Args:
            linked: whether the code gets a socket to the guest link.

        Raises:
            OSError: no descriptors are to be had.
        """
        self._code: int | None = None
        self._exceeded: Exceeded | None = None
        self._refusal: str | None = None
        self._usage: tuple[float, int] | None = None
        self._folder: int | None = None
        self._group: RunGroup | None = None
        self._grouped = True
        self._listening: list[socket.socket] = []
        self._relay: Relay | None = None
        self._doors: list[socket.socket] = []
        self._gateways: RunGateways | None = None
        self._started = self._ordered = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self.far = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self.far.close)
            self._control, far_control = _packets(undo, self.far)
            self.stdout, far_stdout = _pipe(undo, self.far)
            self.stderr, far_stderr = _pipe(undo, self.far)
            self.far_ends = [far_control, far_stdout, far_stderr]
            """Control line, standard output, standard error, and where linked the runtime socket."""
            if linked:
                self._runtime, far_runtime = (undo.enter_context(end) for end in socket.socketpair())
                # It belongs to this network, not to that of the jail. With a name already, from the kernel and of no
                # use to anyone, it can take no other here.
                far_runtime.bind(b"")
                self.far.enter_context(far_runtime)
                self.far_ends.append(far_runtime.fileno())
            self._kept = undo.pop_all()
        # By number: for a socket that it does not know, the selector first describes it, for an error nobody sees.
        self._control_fd = self._control.fileno()
        self._loop.add_reader(self._control_fd, self._hear)

    def take_runtime(self) -> socket.socket:
        """Return our end of the link."""
        return self._runtime

    def open_network(self, relay: Relay) -> None:
        """Have `relay` serve the sockets on which the jail listens, as soon as they are here."""
        self._relay = relay
        self._serve_network()

    def open_gateways(self, gateways: RunGateways) -> None:
        """Have `gateways` stand behind the sockets on which the jail listens for them, as soon as they are here."""
        self._gateways = gateways
        self._serve_gateways()

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the record should know of the run's network."""
        relayed = self._relay.notes() if self._relay is not None else ()
        return (*relayed, *self._gateways.notes()) if self._gateways is not None else relayed

    async def ended(self) -> Ending:
        """Wait until nothing of the jail is left.

        Raises:
            LaunchError: the kernel refused a part of the jail, or the interpreter did not start.
        """
        await asyncio.shield(self._gone)
        if self._relay is not None and not self._ordered:
            await self._relay.finish()
        if self._gateways is not None:
            await self._gateways.finish(heed=not self._ordered)
        if self._refusal is not None:
            raise LaunchError(self._refusal)
        exceeded = self._exceeded or self._out_of_memory()
        if exceeded is None and not self._ordered and (self._usage is None or not self._started):
            kind = LaunchError if self._started else NeverBegan
            raise kind(self._unexplained())
        return Ending(self._code, exceeded, *(self._usage or (0.0, 0)))

    @property
    def gone(self) -> bool:
        """Whether nothing of the jail is left."""
        return self._gone.done()

    @property
    def held(self) -> Mapping[str, str]:
        """Which limits a control group keeps, and what it is called."""
        return self._group.held if self._group is not None and self._grouped else {}

    def folder(self) -> int | None:
        """Return the descriptor of the working folder, which outlives the jail."""
        return self._folder

    @property
    def closes_at_once(self) -> bool:
        """Whether `close` takes no time: it frees the working folder, which is empty."""
        return self._folder is None or is_untouched(self._folder)

    def close(self) -> None:
        """Let go of everything; only after `ended`."""
        if self._closed:
            return
        self._closed = True
        self._kept.close()
        if self._folder is not None:
            os.close(self._folder)
        if self._group is not None:
            self._group.leave()
        for listening in (*self._listening, *self._doors):
            listening.close()

    def forget(self) -> None:
        """Stop listening; in the event loop's thread, before `close`."""
        self._loop.remove_reader(self._control_fd)
        if self._group is not None and self._group.alarm >= 0:
            self._loop.remove_reader(self._group.alarm)
        if self._relay is not None:
            self._relay.stop()
        if self._gateways is not None:
            self._gateways.stop()

    def _join(self, group: RunGroup) -> None:
        """Take the group in which all processes of the jail are, or are about to be."""
        self._group = group
        if group.alarm >= 0:
            self._loop.add_reader(group.alarm, lambda: group.ring() and self.end())

    def _out_of_memory(self) -> Exceeded | None:
        if self._group is None or not self._group.out_of_memory():
            return None
        return Exceeded("memory", self._group.most.memory)

    @abstractmethod
    def end(self) -> None:
        """Order the end of every process; may be called often and at any time."""

    @abstractmethod
    def _unexplained(self) -> str:
        """Return why the jail is gone without a word of its end."""

    def _left(self) -> None:  # noqa: B027 - where a launcher tells the end, the line says nothing
        """Note that the line is closed: nobody of the jail is there to write to it."""

    def _serve_network(self) -> None:
        if self._relay is not None and self._listening:
            self._relay.serve(self._listening)

    def _serve_gateways(self) -> None:
        if self._gateways is not None and self._doors:
            self._gateways.serve(self._doors)

    def _keep(self, message: str, descriptor: int) -> None:
        """Take a descriptor that came with `message`."""
        self._folder = descriptor

    def _hear(self) -> None:
        while True:
            try:
                message, rights, _, _ = socket.recv_fds(self._control, _MESSAGE, _MOST_RIGHTS, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, rights = b"", list[int]()
            if not message:
                self._loop.remove_reader(self._control_fd)
                if self._gateways is not None:
                    # Before anybody else may get a program that finds the same sockets.
                    self._gateways.deafen()
                self._left()
                return
            text = message.decode(errors="replace")
            if text == "listening":
                self._listening = [socket.socket(fileno=descriptor) for descriptor in rights]
                self._serve_network()
                continue
            if text == "gateways":
                self._doors = [socket.socket(fileno=descriptor) for descriptor in rights]
                self._serve_gateways()
                continue
            for descriptor in rights:
                self._keep(text, descriptor)
            self._note(text)

    def _note(self, message: str) -> None:
        kind, _, rest = message.partition(" ")
        match kind:
            case "exit":
                self._code = int(rest)
            case "limit":
                what, _, amount = rest.partition(" ")
                if what in ("memory", "processes", "cpu_time"):
                    self._exceeded = Exceeded(what, int(amount))
            case "gone":
                seconds, memory, *code = rest.split()
                self._usage = (float(seconds), int(memory))
                if code:
                    self._code = int(code[0])
            case "refused":
                number, _, what = rest.partition(" ")
                self._refusal = explain(int(number), what, os.path.realpath(sys.executable))
            case "broken":
                self._refusal = f"the monitor of the jail broke: {rest}"
            case "started":
                self._started = True
            case "ungrouped":
                self._grouped = False
            case _:  # ready, spare
                pass


def _packets(undo: contextlib.ExitStack, far: contextlib.ExitStack) -> tuple[socket.socket, int]:
    near, passed = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    far.enter_context(passed)
    return undo.enter_context(near), passed.fileno()


def _pipe(undo: contextlib.ExitStack, far: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    undo.callback(os.close, reading)
    far.callback(os.close, writing)
    return reading, writing
