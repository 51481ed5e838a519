"""Stands behind the places where the code of a run looks for channels: starts a gateway when somebody knocks there."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from osprey_executor.execution.local._gateway_process import GatewayProcess
from osprey_executor.execution.local._jail import JailSandbox
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.models import ControlSession, Gateway, Gateways
from osprey_executor.text import one_line

_HEED = 2.0
"""Seconds for a gateway to pass on what the code had sent when it ended."""
_SETTLE = 15.0
"""Seconds for a write to the machine that was under way to be confirmed."""


class GatewayPool:
    """Gateways of one engine. After the first of a kind, one more is kept ready: it costs memory, and no time."""

    def __init__(self, sandbox: JailSandbox, gateways: Gateways) -> None:
        """Start nothing yet; `sandbox` is for the gateways themselves."""
        self._sandbox, self.gateways = sandbox, gateways
        self._ready: dict[str, GatewayProcess] = {}
        self._running: set[GatewayProcess] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def of(self, control: ControlSession) -> RunGateways:
        """Return the gateways of a run, whose session answers."""
        return RunGateways(self, control)

    def take(self, kind: Gateway) -> GatewayProcess:
        """Return a gateway that nobody has used.

        Raises:
            LaunchError: no process is to be had.
        """
        ready = self._ready.pop(kind.kind, None)
        return ready if ready is not None and not ready.gone else self._start(kind)

    def let_go(self, gateway: GatewayProcess) -> None:
        """End a gateway, without waiting for it."""
        closing = asyncio.create_task(self._close(gateway))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def prepare(self, kind: Gateway) -> None:
        """Have one more ready."""
        if self._closed or kind.kind in self._ready:
            return
        with contextlib.suppress(LaunchError):
            self._ready[kind.kind] = self._start(kind)

    async def close(self) -> None:
        """End all of them."""
        self._closed = True
        self._ready.clear()
        await asyncio.gather(*(gateway.close() for gateway in list(self._running)), *self._closing)
        self._running.clear()

    def _start(self, kind: Gateway) -> GatewayProcess:
        gateway = GatewayProcess(self._sandbox, self.gateways, kind)
        self._running.add(gateway)
        return gateway

    async def _close(self, gateway: GatewayProcess) -> None:
        await gateway.close()
        self._running.discard(gateway)


@dataclass
class _Open:
    """One kind for one run."""

    kind: Gateway
    doors: list[socket.socket]
    process: GatewayProcess | None = None
    serving: asyncio.Task[None] | None = None
    problem: str | None = None


class RunGateways:
    """The gateways of one run."""

    def __init__(self, pool: GatewayPool, control: ControlSession) -> None:
        """Start nothing yet."""
        self._loop = asyncio.get_running_loop()
        self._pool, self._control = pool, control
        self._waiting: list[_Open] = []
        self._open: list[_Open] = []
        self._over = False
        self._program_ended = asyncio.Event()

    def serve(self, doors: Sequence[socket.socket]) -> None:
        """Stand behind these sockets, one for each place. They stay the caller's, until `stop`."""
        left = list(doors)
        for kind in self._pool.gateways.kinds:
            mine, left = left[: len(kind.places)], left[len(kind.places) :]
            one = _Open(kind, mine)
            self._waiting.append(one)
            for door in mine:
                self._loop.add_reader(door, self._knock, one)

    def deafen(self) -> None:
        """Start no more gateways."""
        for one in self._waiting:
            self._stop_waiting(one)
        self._waiting.clear()

    async def finish(self, *, heed: bool) -> None:
        """After the end of the code, end the gateways; writes that are under way are brought to their end.

        Args:
            heed: take what the code had sent and no gateway had read.
        """
        if heed:
            for one in list(self._waiting):  # the code's last words may have come in this moment
                if select.select(one.doors, [], [], 0)[0]:
                    self._knock(one)
        self.deafen()
        self._over = True
        serving = {one.serving for one in self._open if one.serving is not None}
        if heed and serving:
            self._program_ended.set()
            await asyncio.wait(serving, timeout=_HEED)
        self._end_processes()
        if serving:
            _, late = await asyncio.wait(serving, timeout=_SETTLE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for one in self._open:  # not at its start: it would take the processors from the one that somebody waits for
            self._pool.prepare(one.kind)

    def stop(self) -> None:
        """End whatever is left, at once."""
        self.deafen()
        self._over = True
        self._end_processes()
        for one in self._open:
            if one.serving is not None:
                one.serving.cancel()

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each gateway that was used."""
        return tuple(
            f"{one.kind.title}: the gateway of this run failed ({one.problem}), and with it what the program asked it"
            if one.problem
            else f"{one.kind.title}: used through the gateway"
            for one in self._open
        )

    def _stop_waiting(self, one: _Open) -> None:
        for door in one.doors:
            self._loop.remove_reader(door)

    def _knock(self, one: _Open) -> None:
        self._stop_waiting(one)
        self._waiting.remove(one)
        self._open.append(one)
        try:
            one.process = self._pool.take(one.kind)
            one.process.hand_over(one.doors)
        except (LaunchError, OSError) as error:
            self._fail(one, str(error))
            return
        one.serving = self._loop.create_task(self._serve(one, one.process))

    async def _serve(self, one: _Open, process: GatewayProcess) -> None:
        try:
            wrong = await self._pool.gateways.serve(self._control, process.take_link(), self._program_ended)
        except Exception as error:  # of ours; the run goes on without channels, and its record says so
            wrong = f"{type(error).__name__}: {error}"
        if wrong or not self._over:
            if wrong:
                process.end()
            self._fail(one, wrong or await process.last_words())

    def _fail(self, one: _Open, problem: str) -> None:
        one.problem = one_line(problem, 300)
        for door in one.doors:  # whoever connects from now on is refused, and does not wait
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)

    def _end_processes(self) -> None:
        for one in self._open:
            if one.process is not None:
                self._pool.let_go(one.process)
                one.process = None
