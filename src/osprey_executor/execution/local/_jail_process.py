"""One jail that a launcher of its own builds: a process to start, to hear, and to end."""

from __future__ import annotations

import contextlib
import marshal
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osprey_executor.execution.local import jail
from osprey_executor.execution.local._cgroup import RunGroup
from osprey_executor.execution.local._jail_line import JailLine
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.text import visible

if TYPE_CHECKING:
    import asyncio

    from osprey_executor.execution.local.jail.spec import Line

_START = "import sys; sys.path.insert(0, sys.argv[1]); from jail.{module} import main; main()"
_ROOM = str(Path(jail.__file__).parent.parent)
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_PATIENCE = 2.0
"""Seconds that the launcher has to end the jail before it is killed, which ends the jail too."""


def launch(module: str, spec: Mapping[str, Any], inherited: list[int]) -> subprocess.Popen[bytes]:
    """Start a launcher, `main` of a module of the jail: a fresh interpreter with nothing but `spec` and descriptors.

    Raises:
        OSError: no process is to be had.
    """
    told = os.memfd_create("jail", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(told), "wb") as stream:
            stream.write(marshal.dumps({**spec, "parent": os.getpid()}))
        os.lseek(told, 0, os.SEEK_SET)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START.format(module=module), _ROOM, str(told)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=[told, *inherited],
            start_new_session=True,
        )
    finally:
        os.close(told)


def complaint(process: subprocess.Popen[bytes]) -> str:
    """Return what a launcher that ended said on standard error."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    told = process.stderr.read() or b""
    return visible(told[-2000:].decode(errors="replace")).strip() or "it said nothing"


class JailProcess(JailLine):
    """A launcher and all below it."""

    _module = "launcher"
    """What of `jail` is launched."""

    def __init__(self, spec: Line, *, linked: bool, group: RunGroup | None = None) -> None:
        """Start it, in `group`; `spec` lacks only the descriptors. `linked`: the code gets a runtime socket.

        Raises:
            LaunchError: no process or descriptor is to be had.
        """
        self._last_resort: asyncio.TimerHandle | None = None
        try:
            try:
                super().__init__(linked=linked)
                self._start(spec, group)
            except BaseException:
                if group is not None:
                    group.leave()
                raise
        except OSError as error:
            raise LaunchError(f"the launcher of the jail cannot be started: {error}") from error
        self._loop.add_reader(self._process_fd, self._note_end)

    def _start(self, spec: Line, group: RunGroup | None) -> None:
        names = ("control", "stdout", "stderr", "runtime")
        with contextlib.ExitStack() as undo:
            undo.callback(self._kept.close)
            undo.callback(self._loop.remove_reader, self._control)
            with self.far:
                doors = group.doors() if group is not None else []
                for door in doors:
                    self.far.callback(os.close, door)
                told = {**spec, "runtime": -1, "groups": doors, **dict(zip(names, self.far_ends, strict=False))}
                self._process = launch(self._module, told, [*self.far_ends, *doors])
            undo.callback(self._process.wait)
            undo.callback(self._process.kill)
            self._process_fd = os.pidfd_open(self._process.pid)
            undo.pop_all()
        assert self._process.stderr is not None
        self._kept.enter_context(self._process.stderr)
        self._kept.callback(self._process.wait)
        self._kept.callback(self._process.kill)
        self._kept.callback(os.close, self._process_fd)
        if group is not None:
            self._join(group)

    def end(self) -> None:
        """Order the end of every process; the launcher sees the closed line, and if it does not, it is killed."""
        if self._gone.done() or self._closed or self._ordered:
            return
        self._ordered = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        self._last_resort = self._loop.call_later(_PATIENCE, self._kill)

    def forget(self) -> None:
        """Stop listening; in the event loop's thread, before `close`."""
        super().forget()
        self._loop.remove_reader(self._process_fd)
        if self._last_resort is not None:
            self._last_resort.cancel()

    def _kill(self) -> None:
        if not self._gone.done():
            self._process.kill()

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process_fd)
        self._process.wait()
        self._hear()
        if not self._gone.done():
            self._gone.set_result(None)

    def _unexplained(self) -> str:
        return f"the launcher of the jail ended with {self._process.returncode}: {complaint(self._process)}"
