"""What comes together is asked together: clients that want a thousand channels send a thousand commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.errors import ControlSystemError

_MOST = 500
"""Of one request; as many commands come in one piece of the stream."""


_PATIENCE = 0.1
"""Seconds for one answer to all; then each is asked by itself: one that nobody knows would hold up the others."""


class Together:
    """Asks for what was wanted since the event loop last came round.

    Args:
        ask: returns a sample of each of some channels; raises ControlSystemError if one of them has none.
    """

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[Mapping[str, Sample]]]) -> None:
        self._ask = ask
        self._wanted: dict[str, asyncio.Future[Sample]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def sample(self, name: str) -> Sample:
        """Return a sample that is asked for from now on.

        Raises:
            ControlSystemError: the channel cannot be read.
        """
        loop = asyncio.get_running_loop()
        if len(self._wanted) >= _MOST:
            self._go()
        if not self._wanted:
            loop.call_soon(self._go)
        if name not in self._wanted:
            self._wanted[name] = loop.create_future()
        return await asyncio.shield(self._wanted[name])

    def _go(self) -> None:
        wanted, self._wanted = self._wanted, {}
        if wanted:
            task = asyncio.create_task(self._answer(wanted))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _answer(self, wanted: dict[str, asyncio.Future[Sample]]) -> None:
        asked = asyncio.ensure_future(self._ask(list(wanted)))
        await asyncio.wait({asked}, timeout=None if len(wanted) == 1 else _PATIENCE)
        error = asked.exception() if asked.done() else None
        if asked.done() and error is None:
            for name, future in wanted.items():
                future.set_result(asked.result()[name])
        elif len(wanted) > 1:
            asked.cancel()
            await asyncio.gather(*(self._answer({name: future}) for name, future in wanted.items()))
        else:
            (future,) = wanted.values()
            future.set_exception(error or ControlSystemError("it was not asked"))
            future.exception()  # whoever wanted it may have gone
