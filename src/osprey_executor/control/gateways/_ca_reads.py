"""Reads that come together are asked together: clients that read a thousand channels send a thousand commands."""

from __future__ import annotations

import asyncio

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways._link import Source
from osprey_executor.errors import ControlSystemError

_MOST = 500
"""Of one request; as many commands come in one piece of the stream."""


class Reads:
    """Asks for what was wanted since the event loop last came round."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wanted: dict[str, asyncio.Future[Sample]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def sample(self, name: str) -> Sample:
        """Return a sample that is asked for from now on.

        Raises:
            ControlSystemError: the channel cannot be read.
        """
        loop = asyncio.get_running_loop()
        if len(self._wanted) >= _MOST:
            self._ask()
        if not self._wanted:
            loop.call_soon(self._ask)
        if name not in self._wanted:
            self._wanted[name] = loop.create_future()
        return await asyncio.shield(self._wanted[name])

    def _ask(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if wanted:
            task = asyncio.create_task(self._answer(wanted))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _answer(self, wanted: dict[str, asyncio.Future[Sample]]) -> None:
        try:
            found = await self._source.samples(list(wanted))
        except ControlSystemError as error:
            await self._one_by_one(wanted, error)
            return
        for name, future in wanted.items():
            future.set_result(found[name])

    async def _one_by_one(self, wanted: dict[str, asyncio.Future[Sample]], error: ControlSystemError) -> None:
        """Find out which of them it was."""
        for future in wanted.values():
            future.add_done_callback(lambda done: done.exception())  # whoever wanted it may have gone
        if len(wanted) == 1:
            next(iter(wanted.values())).set_exception(error)
            return
        await asyncio.gather(*(self._answer({name: future}) for name, future in wanted.items()))
