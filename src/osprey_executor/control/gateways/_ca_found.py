"""Which channels there are: asked of the broker at the first search for a name, and once for all who search then."""

from __future__ import annotations

import asyncio

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways._link import Source
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError

_SEARCHES = 128
"""At the same time: a name that nobody knows is waited for, for as long as the broker waits."""
_MOST_KNOWN = 20_000


class Found:
    """Names that were searched for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, Sample | None] = {}
        self._searching: dict[str, asyncio.Task[bool]] = {}
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
            task = self._searching[name] = asyncio.create_task(self._search(name))
            task.add_done_callback(lambda _: self._searching.pop(name, None))
        return await asyncio.shield(self._searching[name])

    def forget(self, name: str) -> None:
        """Ask again at the next search: the channel was lost."""
        self._known.pop(name, None)

    async def _search(self, name: str) -> bool:
        async with self._room:
            try:
                self._known[name] = (await self._source.describe([name]))[name]
            except ChannelDisconnectedError:
                return False
            except ControlSystemError:
                # It is answered for, so that the program is told why, and an attempt to write it is seen.
                self._known[name] = None
            return True
