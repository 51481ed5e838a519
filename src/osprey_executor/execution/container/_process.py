"""One program in a kernel, as the service sees it: the same ends that a local process has."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osprey_executor.execution.container._feeder import Feeder
from osprey_executor.execution.container._kernel import Kernel, Lost
from osprey_executor.execution.container._unpack import Forged, Unpacker
from osprey_executor.execution.container.kernel.line import Item, size_of
from osprey_executor.execution.local._sandbox import Ending, Exceeded, Job, LaunchError
from osprey_executor.text import one_line

_CONFIRM = 10.0
"""Seconds in which an ordered end must be confirmed; then the kernel is ended as a whole."""
_PIECE = 1 << 17
_BATCH = 1 << 20
_WHATS = ("memory", "processes", "cpu_time", "folder", "files", "tmp", "deep", "closed")
_SIGKILL = 9


class KernelProcess:
    """A program on its way; its bytes come and go over the line of its kernel."""

    def __init__(self, kernel: Kernel, job: Job, spec: dict[str, Any] | None, rebuilt: Path) -> None:
        """Begin it.

        Args:
            kernel: this program's own.
            job: the code and its limits.
            spec: of a process of its own; None: the one that waits in the kernel will do.
            rebuilt: folder to be made for what the program leaves.
        """
        self._kernel, self._limits, self._rebuilt = kernel, job.limits, rebuilt
        self._loop = asyncio.get_running_loop()
        self._near: list[socket.socket] = []
        self._out = self._feeder(job.limits.output + 1)
        self._err = self._feeder(job.limits.output + 1)
        self._runtime, self._far = socket.socketpair()
        self._link = Feeder(self._far.dup(), kernel.waits)
        self.stdout, self.stderr = (near.fileno() for near in self._near)
        self.lost: Lost | None = None
        """Why the kernel was lost, where it was, before the program's end was heard."""
        self._ordered = self._began = False
        self._code: int | None = None
        self._exceeded: Exceeded | None = None
        self._refusal: str | None = None
        self._usage: tuple[float, int] | None = None
        self._unpacker: Unpacker | None = None
        self._batch: list[Item] = []
        self._batched = 0
        self._unpacking: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._watchdog: asyncio.Task[None] | None = None
        limits = job.limits
        self._begin: Item = {
            "begin": 1,
            "b": base64.b64encode(job.source).decode("ascii"),
            "spec": spec,
            "timeout": limits.timeout,
            "folder": limits.folder,
            "files": limits.files,
        }
        kernel.listen(self._take)
        kernel.lost.add_done_callback(self._note_lost)
        self._sending = self._loop.create_task(self._send_link())
        self._gone = self._loop.create_task(self._conclude())

    def take_runtime(self) -> socket.socket:
        """Return our end of the link to the guest."""
        return self._runtime

    def end(self) -> None:
        """Order the end of every process."""
        if self._ordered or self._over.done():
            return
        self._ordered = True
        self._kernel.line.put({"end": 1})
        self._watchdog = self._loop.create_task(self._insist())

    async def ended(self) -> Ending:
        """Wait until no process is left, or nobody can say.

        Raises:
            LaunchError: the code never started.
        """
        await asyncio.shield(self._gone)
        if self._refusal is not None:
            raise LaunchError(self._refusal)
        if self.lost is not None and not self._began and not self._ordered:
            raise LaunchError(f"the kernel was lost before the program began: {self.lost.why}")
        if self.lost is not None:
            return Ending(-_SIGKILL)
        return Ending(self._code, self._exceeded, *(self._usage or (0.0, 0)))

    @property
    def held(self) -> Mapping[str, str]:
        """No control group of ours is there."""
        return {}

    def folder(self) -> int | None:
        """Return what was rebuilt of the working folder; None: nothing was left there."""
        return self._unpacker.folder if self._unpacker is not None else None

    def notes(self) -> tuple[str, ...]:
        """Nobody sees what the code does in the network of its server."""
        return ()

    def forget(self) -> None:
        """Listen no more."""
        self._kernel.lost.remove_done_callback(self._note_lost)
        for task in (self._sending, self._gone, self._watchdog):
            if task is not None:
                task.cancel()
        for feeder in (self._out, self._err, self._link):
            feeder.stop()

    @property
    def closes_at_once(self) -> bool:
        """Folders take their time."""
        return self._unpacker is None

    def close(self) -> None:
        """Let go of every descriptor."""
        for near in self._near:
            near.close()
        self._far.close()
        if self._unpacker is not None:
            self._unpacker.close()

    def _feeder(self, most: int) -> Feeder:
        near, far = socket.socketpair()
        near.setblocking(False)
        self._near.append(near)
        return Feeder(far, self._kernel.waits, most)

    async def _send_link(self) -> None:
        self._far.setblocking(False)
        with contextlib.suppress(OSError):
            # With the first words of our own end of the link, in one message.
            piece = await self._loop.sock_recv(self._far, _PIECE)
            self._kernel.line.put(self._begin)
            while piece:
                self._kernel.line.put({"link": 1, "b": base64.b64encode(piece).decode("ascii")})
                await self._kernel.room()
                piece = await self._loop.sock_recv(self._far, _PIECE)

    def _take(self, item: Item) -> None:
        if "out" in item:
            (self._out if item["out"] == 1 else self._err).put(base64.b64decode(item["b"]))
        elif "link" in item:
            self._began = True
            self._link.put(base64.b64decode(item["b"]))
        elif "told" in item:
            self._note(str(item["told"]))
        elif "over" in item:
            self._finish()
        elif "broken" in item:
            self._refusal = f"the relay in the kernel failed: {one_line(str(item['broken']), 500)}"
            self._finish()
        elif "odd" not in item or self._batch or self._unpacker is not None or item["odd"] != _INPUTS:
            self._batch.append(item)
            self._batched += size_of(item)
            self._kernel.waits(size_of(item))
            if self._batched > _BATCH:
                self._unpack()

    def _note(self, message: str) -> None:
        kind, _, rest = message.partition(" ")
        what, _, amount = rest.partition(" ")
        with contextlib.suppress(ValueError):  # the kernel is not ours: words that mean nothing say nothing
            if kind == "exit":
                self._code = max(-64, min(255, int(rest)))
            elif kind == "limit" and what in _WHATS:
                self._exceeded = Exceeded(what, int(amount))
            elif kind == "gone":
                self._usage = float(what), int(amount)
            elif kind in ("refused", "broken"):
                self._refusal = f"the kernel's machine does not let programs start: {one_line(rest, 500)}"

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _note_lost(self, lost: asyncio.Future[Lost]) -> None:
        if not self._over.done():
            self.lost = lost.result()
            self._over.set_result(None)

    async def _insist(self) -> None:
        await asyncio.wait({self._over}, timeout=_CONFIRM)
        if not self._over.done():
            await self._kernel.interrupt()
            self._kernel.give_up(False, f"it did not confirm within {_CONFIRM:g} s that the program was ended")

    async def _conclude(self) -> None:
        await self._over
        if self.lost is None and self._refusal is None:
            self._unpack()
        if self._unpacking is not None:
            await asyncio.wait({self._unpacking})
            if (error := self._unpacking.exception()) is not None:
                self._refusal = f"what the program left could not be taken over: {error}"
        if self.lost is None and self._code is None and self._exceeded is None and not self._ordered:
            self._refusal = self._refusal or "the monitor of the program was ended, so nobody can tell how it ended"
        await asyncio.gather(self._out.finish(), self._err.finish(), self._link.finish())

    def _unpack(self) -> None:
        """Rebuild what has come so far, in a thread, after what came before it."""
        batch, self._batch, self._batched = self._batch, [], 0
        if not batch:
            return
        before = self._unpacking

        async def work() -> None:
            if before is not None:
                await before
            try:
                await asyncio.to_thread(self._rebuild, batch)
            finally:
                self._kernel.waits(-sum(map(size_of, batch)))

        self._unpacking = self._loop.create_task(work())

    def _rebuild(self, batch: list[Item]) -> None:
        limits = self._limits
        if self._unpacker is None:
            self._unpacker = Unpacker(self._rebuilt, most_bytes=limits.folder, most_files=limits.files + 8)
        try:
            self._unpacker.take(batch)
        except (KeyError, TypeError) as error:
            raise Forged(f"an item without its parts ({error})") from error


_INPUTS = base64.b64encode(b"inputs").decode("ascii")
"""The link that is always there; a folder with nothing else is empty."""
