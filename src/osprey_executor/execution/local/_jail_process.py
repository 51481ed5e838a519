"""One jail as the service sees it: a launcher to start, a control socket to hear, and an end to order."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from osprey_executor.execution.local import jail
from osprey_executor.execution.local._refusals import explain
from osprey_executor.execution.local._sandbox import Ending, Exceeded, LaunchError
from osprey_executor.text import visible

if TYPE_CHECKING:
    from osprey_executor.execution.local.jail.spec import JailSpec

_START = "import sys; sys.path.insert(0, sys.argv[1]); from jail.launcher import main; main()"
_ROOM = str(Path(jail.__file__).parent.parent)
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_PATIENCE = 2.0
"""Seconds that the launcher has to end the jail before it is killed, which ends the jail too."""
_MESSAGE = 4096


class JailProcess:
    """A launcher and all below it."""

    def __init__(self, spec: JailSpec, *, linked: bool) -> None:
        """Start it; `spec` lacks only the descriptors, which are made here. `linked`: the code gets a runtime socket.

        Raises:
            LaunchError: no process or descriptor is to be had.
        """
        self._code: int | None = None
        self._exceeded: Exceeded | None = None
        self._refusal: str | None = None
        self._usage: tuple[float, int] | None = None
        self._folder: int | None = None
        self._ordered = self._closed = False
        self._last_resort: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = loop.create_future()
        with contextlib.ExitStack() as undo:
            try:
                self._start(spec, linked, undo)
            except OSError as error:
                raise LaunchError(f"the launcher of the jail cannot be started: {error}") from error
            self._kept = undo.pop_all()
        loop.add_reader(self._control, self._hear)
        loop.add_reader(self._process_fd, self._note_end)

    def _start(self, spec: JailSpec, linked: bool, undo: contextlib.ExitStack) -> None:
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.enter_context(self._control)
        self._control.setblocking(False)
        with far, contextlib.ExitStack() as passed:
            self.stdout, stdout = _pipe(undo, passed)
            self.stderr, stderr = _pipe(undo, passed)
            runtime = self._runtime_pair(undo, passed) if linked else None
            told = os.memfd_create("jail", os.MFD_CLOEXEC)
            passed.callback(os.close, told)
            spec["parent"], spec["control"], spec["stdout"], spec["stderr"] = os.getpid(), far.fileno(), stdout, stderr
            spec["runtime"] = runtime.fileno() if runtime else -1
            with os.fdopen(os.dup(told), "wb") as stream:
                stream.write(marshal.dumps(dict(spec)))
            os.lseek(told, 0, os.SEEK_SET)
            inherited = [told, far.fileno(), stdout, stderr, *([runtime.fileno()] if runtime else [])]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, _ROOM, str(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=inherited,
                start_new_session=True,
            )
        undo.callback(self._process.wait)
        undo.callback(self._process.kill)
        assert self._process.stderr is not None
        undo.enter_context(self._process.stderr)
        os.set_blocking(self._process.stderr.fileno(), False)
        self._process_fd = os.pidfd_open(self._process.pid)
        undo.callback(os.close, self._process_fd)

    def _runtime_pair(self, undo: contextlib.ExitStack, passed: contextlib.ExitStack) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._runtime = undo.enter_context(ours)
        return passed.enter_context(theirs)

    def take_runtime(self) -> socket.socket:
        """Return our end of the link."""
        return self._runtime

    def end(self) -> None:
        """Order the end of every process; the launcher sees the closed line, and if it does not, it is killed."""
        if self._gone.done() or self._closed:
            return
        if self._ordered:
            return
        self._ordered = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self._last_resort = asyncio.get_running_loop().call_later(_PATIENCE, self._kill)

    def _kill(self) -> None:
        if not self._gone.done():
            self._process.kill()

    async def ended(self) -> Ending:
        """Wait until the launcher is gone, and with it the process namespace of the jail.

        Raises:
            LaunchError: the kernel refused a part of the jail, or the interpreter did not start.
        """
        await asyncio.shield(self._gone)
        if self._refusal is not None:
            raise LaunchError(self._refusal)
        if self._usage is None and not self._ordered:
            raise LaunchError(f"the launcher of the jail ended with {self._process.returncode}: {self._complaint()}")
        return Ending(self._code, self._exceeded, *(self._usage or (0.0, 0)))

    def folder(self) -> int | None:
        """Return the descriptor of the working folder, which outlives the jail."""
        return self._folder

    def close(self) -> None:
        """Let go of everything; only after `ended`."""
        if self._closed:
            return
        self._closed = True
        self._kept.close()
        if self._folder is not None:
            os.close(self._folder)

    def forget(self) -> None:
        """Stop listening; in the event loop's thread, before `close`."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_reader(self._process_fd)
        if self._last_resort is not None:
            self._last_resort.cancel()

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process_fd)
        self._process.wait()
        self._hear()
        if not self._gone.done():
            self._gone.set_result(None)

    def _hear(self) -> None:
        while True:
            try:
                message, rights, _, _ = socket.recv_fds(self._control, _MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, rights = b"", list[int]()
            if not message:
                asyncio.get_running_loop().remove_reader(self._control)
                return
            for descriptor in rights:
                self._folder = descriptor
            self._note(message.decode(errors="replace"))

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
                seconds, _, memory = rest.partition(" ")
                self._usage = (float(seconds), int(memory))
            case "refused":
                number, _, what = rest.partition(" ")
                self._refusal = explain(int(number), what, os.path.realpath(sys.executable))
            case "broken":
                self._refusal = f"the monitor of the jail broke: {rest}"
            case _:  # ready, started
                pass

    def _complaint(self) -> str:
        assert self._process.stderr is not None
        told = self._process.stderr.read() or b""
        return visible(told[-2000:].decode(errors="replace")).strip() or "it said nothing"


def _pipe(undo: contextlib.ExitStack, passed: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    undo.callback(os.close, reading)
    passed.callback(os.close, writing)
    return reading, writing
