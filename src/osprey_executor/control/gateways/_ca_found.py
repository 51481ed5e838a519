"""Which channels there are: asked of the broker at the first search for a name, and once for all who search then."""

from __future__ import annotations

import asyncio

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways._link import Source
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError

_SEARCHES = 1000
"""At the same time: a name that nobody knows is waited for, for as long as the broker waits, and those that are there
must not wait behind it. Of `_answers.Bounds.looks`, which is somewhat more."""
_MOST_TOGETHER = 500
_PATIENCE = 0.1
"""Seconds for one answer to all that came together; then each is asked for by itself, as one may be unknown."""
_MOST_KNOWN = 20_000


class Found:
    """Names that were searched for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, Sample | None] = {}
        self._searching: dict[str, asyncio.Future[bool]] = {}
        self._wanted: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_SEARCHES)

    def sample(self, name: str) -> Sample | None:
        """Return what a channel that was found holds; None: it may not be read, and perhaps written."""
        return self._known[name]

    async def is_there(self, name: str) -> bool:
        """Return whether somebody answers for that name, or the broker has more to say of it."""
        if name in self._known:
            return True
        if name not in self._searching:
            if len(self._searching) + len(self._known) >= _MOST_KNOWN:
                return False
            loop = asyncio.get_running_loop()
            self._searching[name] = loop.create_future()
            if not self._wanted:
                loop.call_soon(self._go)
            self._wanted.append(name)
        return await asyncio.shield(self._searching[name])

    def forget(self, name: str) -> None:
        """Ask again at the next search: the channel was lost."""
        self._known.pop(name, None)

    def _go(self) -> None:
        """Ask for what came together, as in one datagram."""
        wanted, self._wanted = self._wanted, []
        for at in range(0, len(wanted), _MOST_TOGETHER):
            task = asyncio.create_task(self._search_together(wanted[at : at + _MOST_TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _search_together(self, names: list[str]) -> None:
        if len(names) > 1:
            async with self._room:
                asked = asyncio.ensure_future(self._source.describe(names))
                await asyncio.wait({asked}, timeout=_PATIENCE)
            if asked.done() and asked.exception() is None:
                for name, sample in asked.result().items():
                    self._end(name, True, sample)
                return
            asked.cancel()
        await asyncio.gather(*map(self._search, names))

    async def _search(self, name: str) -> None:
        there, sample = True, None
        async with self._room:
            try:
                sample = (await self._source.describe([name]))[name]
            except ChannelDisconnectedError:
                there = False
            except ControlSystemError:
                pass  # it is answered for, so that the program is told why, and an attempt to write it is seen
        self._end(name, there, sample)

    def _end(self, name: str, there: bool, sample: Sample | None) -> None:
        if there:
            self._known[name] = sample
        searching = self._searching.pop(name)
        if not searching.done():
            searching.set_result(there)
