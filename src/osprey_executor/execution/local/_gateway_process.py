"""One gateway: a jailed process of our own that will get the listening sockets of one run, and is never used again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from osprey_executor.execution.local._jail import JailSandbox
from osprey_executor.execution.local._output import Capture
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._script import let_go
from osprey_executor.models import Gateway, Gateways, Limits
from osprey_executor.text import one_line

_LIMITS = Limits(memory=2**30, processes=64, folder=2**20, files=16, tmp=2**20, timeout=10**7, output=2**16)
"""A gateway holds a few of the largest arrays, and a PVAccess server has a dozen threads."""
_LAST_WORDS = 1.0
"""Seconds to wait for them."""


class GatewayProcess:
    """Started in advance or at need; waits for its sockets. Has no network but its own, and no file of the host's."""

    def __init__(self, sandbox: JailSandbox, gateways: Gateways, kind: Gateway) -> None:
        """Start it.

        Raises:
            LaunchError: no process is to be had.
        """
        self._running = sandbox.start_own(("-P", "-s", "-B", "-m", gateways.module, kind.kind), _LIMITS)
        with self._running.take_runtime() as runtime:
            # Whoever serves it closes it, also when this process is let go before.
            self._link: socket.socket | None = runtime.dup()
        self._outputs = [
            Capture(descriptor, _LIMITS.output, lambda text: None, lambda: None)
            for descriptor in (self._running.stdout, self._running.stderr)
        ]
        self._ended = asyncio.ensure_future(self._end())

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._ended.done()

    def hand_over(self, doors: Sequence[socket.socket]) -> None:
        """Give it the sockets on which its run's jail listens; they stay the caller's, too.

        Raises:
            OSError: it is gone.
        """
        assert self._link is not None
        socket.send_fds(self._link, [b"!"], [door.fileno() for door in doors])

    def take_link(self) -> socket.socket:
        """Return our end of the link, once; it is the caller's from then on."""
        link, self._link = self._link, None
        assert link is not None
        return link

    async def last_words(self) -> str:
        """Wait until it is gone, and return why, in words."""
        problem = await asyncio.shield(self._ended)
        said = (self._outputs[1].text.strip().splitlines() or [""])[-1]
        return one_line(problem or said, 300) or "it said nothing"

    def end(self) -> None:
        """Order its end."""
        self._running.end()

    async def close(self) -> None:
        """End it, and wait until nothing of it is left."""
        self._running.end()
        await asyncio.shield(self._ended)

    async def _end(self) -> str | None:
        problem: str | None = None
        try:
            ending = await self._running.ended()
            if ending.exceeded is not None:
                problem = f"it went beyond its limit of {ending.exceeded.what}"
            for output in self._outputs:
                await output.finish(_LAST_WORDS)
        except LaunchError as error:
            problem = str(error)
        finally:
            for output in self._outputs:
                output.stop()
            if self._link is not None:
                self._link.close()
            await let_go(self._running)
        return problem
