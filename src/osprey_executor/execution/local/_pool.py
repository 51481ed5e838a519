"""Spares of a fork server: some are kept ready, and the server is renewed, put to rest and started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from osprey_executor.config import ForkServerConfig
from osprey_executor.execution.local._sandbox import Job, LaunchError
from osprey_executor.execution.local._script import let_go
from osprey_executor.execution.local._server import ForkServer
from osprey_executor.execution.local._spare import Spare, fits
from osprey_executor.models import Limits

_START_PATIENCE = 120.0
_MOST_FAILURES = 3
"""Servers in a row that came to nothing; after them, every program gets a fresh interpreter."""


class Pool:
    """Gives jails of the present fork server; None where there is none yet."""

    def __init__(
        self,
        start: Callable[[Callable[[], None]], ForkServer],
        prove: Callable[[ForkServer], Awaitable[None]],
        limits: Limits,
        plan: ForkServerConfig,
    ) -> None:
        """Start nothing yet.

        Args:
            start: starts a server; its argument is called when that server has ended.
            prove: looks from inside a jail of a new server whether the walls stand.
            limits: that every jail of this pool has.
            plan: how many jails, and for how long.
        """
        self._start, self._prove, self._plan = start, prove, plan
        self.limits = limits
        self.problem: str | None = None
        """Why there is no server, once that is known."""
        self._server: ForkServer | None = None
        self._coming: asyncio.Task[None] | None = None
        self._servers: set[ForkServer] = set()
        self._spares: list[Spare] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._refill: asyncio.Handle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._failures = 0
        self._closed = False

    def warm(self) -> None:
        """Have a server started, unless there is one, one is coming, or it has failed too often."""
        if self._server is None and self._coming is None and self._failures < _MOST_FAILURES and not self._closed:
            self._coming = asyncio.create_task(self._bring())

    async def ready(self) -> bool:
        """Wait until the pool gives jails; False: it will not, see `problem`."""
        self.warm()
        if self._coming is not None:
            await asyncio.wait({self._coming})
        return self._server is not None and all([await spare.ready for spare in self._spares])

    def take(self, job: Job) -> Spare | None:
        """Begin `job` in a jail of the fork server; None: it must be begun otherwise."""
        server = self._server
        if server is None or job.limits != self.limits or not fits(job):
            return None
        try:
            spare = self._next(server)
        except LaunchError:
            return None
        spare.begin(job, server.fetch)
        return spare

    def tend(self) -> None:
        """Do after a run what would slow one down: prepare jails, renew the server."""
        server = self._server
        if server is None:
            self.warm()
            return
        self._rest_later()
        if server.runs >= self._plan.runs and self._coming is None:
            self._coming = asyncio.create_task(self._bring())
        if self._refill is None:
            self._refill = asyncio.get_running_loop().call_soon(self._fill)

    async def close(self) -> None:
        """End every server and wait until nothing of them is left."""
        self._closed = True
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
        if self._rest is not None:
            self._rest.cancel()
        self._retire()
        for server in list(self._servers):
            server.close()
            await server.ended
        await asyncio.gather(*self._leaving)

    def _next(self, server: ForkServer) -> Spare:
        ready = [spare for spare in self._spares if spare.ready.done()]
        for spare in ready:
            self._spares.remove(spare)
            if spare.ready.result() and not spare.gone:
                return spare
            self._discard(spare)
        return server.spawn()

    def _fill(self) -> None:
        self._refill = None
        server = self._server
        if server is None or not server.serves:
            return
        with contextlib.suppress(LaunchError):
            while len(self._spares) < self._plan.spares:
                self._spares.append(server.spawn())

    async def _bring(self) -> None:
        """Start a server, prove it, and put it in the place of the one before."""
        server: ForkServer | None = None
        try:
            server = self._start(lambda: self._ended(server))
            self._servers.add(server)
            async with asyncio.timeout(_START_PATIENCE):
                await asyncio.shield(server.ready)
                await self._prove(server)
        except (LaunchError, TimeoutError, OSError) as error:
            self.problem = str(error) or f"the fork server was not ready within {_START_PATIENCE:g} s"
            self._failures += 1
            if server is not None:
                server.close()
        except asyncio.CancelledError:
            if server is not None:
                server.close()
            raise
        else:
            self._retire()
            self._server, self._failures, self.problem = server, 0, None
            self._fill()
            self._rest_later()
        finally:
            self._coming = None

    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(self._plan.idle, self._retire)

    def _retire(self) -> None:
        """Give no more jails of the present server; it ends when its last run has."""
        server, self._server = self._server, None
        spares, self._spares = self._spares, []
        for spare in spares:
            self._discard(spare)
        if server is not None:
            server.retire()

    def _discard(self, spare: Spare) -> None:
        leaving = asyncio.create_task(let_go(spare))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _ended(self, server: ForkServer | None) -> None:
        if server is None:
            return
        self._servers.discard(server)
        if self._server is server:  # it died; the next run starts another
            self._retire()
