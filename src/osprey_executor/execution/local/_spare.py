"""One jail of a fork server: prepared in advance, given one program, never used again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from osprey_executor.execution.local._cgroup import RunGroup
from osprey_executor.execution.local._jail_line import JailLine
from osprey_executor.execution.local._sandbox import Job, LaunchError

Fetch = Callable[[str], Awaitable[int]]
"""Returns a descriptor of a read-only copy of a host file, to be attached in a jail."""

MOST_INPUTS = 32
"""As many descriptors fit into one message, with some room."""
_MOST_NAMES = 3000
_BIRTH_PATIENCE = 10.0
"""Seconds in which the server must have made a jail."""
_END_PATIENCE = 2.0
"""Seconds in which the server must have noticed the end of one; its own end is the end of all of them."""


def fits(job: Job) -> bool:
    """Return whether program and inputs of `job` can be handed to a spare in one message."""
    names = _inputs(job)
    return len(names) <= MOST_INPUTS and sum(len(os.fsencode(name)) + 1 for name in names) <= _MOST_NAMES


def _inputs(job: Job) -> Mapping[str, Path]:
    return job.staged.inputs if job.staged is not None else {}


class Spare(JailLine):
    """A jail in which a forked process waits for its program."""

    def __init__(
        self,
        request: Callable[[list[int]], None],
        on_gone: Callable[[], None],
        on_stuck: Callable[[], None],
        group: RunGroup | None = None,
    ) -> None:
        """Ask the server for a jail.

        Args:
            request: sends the far ends to the server.
            on_gone: called when nothing of the jail is left.
            on_stuck: called when the server does not do its part in time; it must end the server.
            group: for all processes of the jail; None: there are no control groups.

        Raises:
            LaunchError: no descriptors are to be had, or the server is gone.
        """
        try:
            super().__init__(linked=True)
            self._ask(request, group)
        except OSError as error:
            if group is not None:
                group.leave()
            raise LaunchError(f"the fork server gives no jail: {error}") from error
        if group is not None:
            self._join(group)
        self._on_gone, self._on_stuck = on_gone, on_stuck
        self._last_resort: asyncio.TimerHandle | None = None
        self._monitor: int | None = None
        self._giving: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[bool] = self._loop.create_future()
        """True once the jail waits for its program; False: it is gone."""

    def _ask(self, request: Callable[[list[int]], None], group: RunGroup | None) -> None:
        try:
            with self.far:
                doors = group.doors() if group is not None else []
                for door in doors:
                    self.far.callback(os.close, door)
                request([*self.far_ends, *doors])
        except OSError:
            super().forget()
            super().close()
            raise

    def begin(self, job: Job, fetch: Fetch) -> None:
        """Hand over the program; it starts when the jail is ready and its inputs are in place."""
        if _inputs(job) or not self.ready.done():
            self._giving = asyncio.create_task(self._give(job, fetch))
        else:
            self._send(job, [])

    def end(self) -> None:
        """Kill the monitor, and with it all of its jail."""
        if self._gone.done() or self._closed:
            return
        self._ordered = True
        if self._giving is not None:
            self._giving.cancel()
        self._kill()
        if self._last_resort is None:
            self._last_resort = self._loop.call_later(_END_PATIENCE, self._on_stuck)

    def forget(self) -> None:
        """Stop listening; in the event loop's thread, before `close`."""
        super().forget()
        if self._last_resort is not None:
            self._last_resort.cancel()

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        if self._monitor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._monitor, signal.SIGKILL)

    def close(self) -> None:
        """Let go of everything; only after `ended`."""
        super().close()
        if self._monitor is not None:
            os.close(self._monitor)
            self._monitor = None

    async def _give(self, job: Job, fetch: Fetch) -> None:
        trees: list[int] = []
        try:
            async with asyncio.timeout(_BIRTH_PATIENCE):
                await asyncio.shield(self.ready)
            for source in _inputs(job).values():
                trees.append(await fetch(str(source)))  # noqa: PERF401 - those before a failure must be closed
            self._send(job, trees)
        except TimeoutError:
            self._on_stuck()
        except LaunchError as error:
            self._refusal = str(error)
            self.end()
        finally:
            for tree in trees:
                os.close(tree)

    def _send(self, job: Job, trees: list[int]) -> None:
        message = b"\0".join([b"go", *(os.fsencode(name) for name in _inputs(job))])
        code = os.memfd_create("code", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(code), "wb") as stream:
                stream.write(job.source)
            os.lseek(code, 0, os.SEEK_SET)
            socket.send_fds(self._control, [message], [code, *trees])
        except OSError:  # it is gone already, or will be: its end shows that nothing began
            self._kill()
        finally:
            os.close(code)

    def _keep(self, message: str, descriptor: int) -> None:
        if message != "spare":
            self._folder = descriptor
            return
        self._monitor = descriptor
        if self._ordered:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        if not self.ready.done():
            self.ready.set_result(True)

    def _left(self) -> None:
        if not self.ready.done():
            self.ready.set_result(False)
        if not self._gone.done():
            self._gone.set_result(None)
            self._on_gone()

    def _unexplained(self) -> str:
        return "the fork server ended, and the program with it"
