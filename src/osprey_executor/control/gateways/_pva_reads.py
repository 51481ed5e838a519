"""Reads of channels: of those that are known to be there, what is asked for at the same time is one request."""

from __future__ import annotations

import asyncio

from osprey_executor.control.connectors._protocol import ChannelKind, Sample
from osprey_executor.control.gateways._link import Source
from osprey_executor.errors import ControlSystemError

_MOST = 500
"""Channels of one request."""
_MOST_UNKNOWN = 100
"""Requests for channels that may not be there, at the same time: the broker answers only so many of one run."""


_Waiting = dict[str, list[asyncio.Future[Sample]]]


class Reads:
    """Asks a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._unknown = asyncio.Semaphore(_MOST_UNKNOWN)
        self._waiting: _Waiting = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def describe(self, channel: str) -> Sample:
        """Return what a channel holds, of which nobody knows whether it is there: that may take long, for it alone.

        Raises:
            ChannelDisconnectedError: nobody answers for it.
            ControlSystemError: the channel cannot be read.
        """
        async with self._unknown:
            described = (await self._source.describe([channel]))[channel]
            if described.kind is not ChannelKind.TABLE:
                return described
            # Its columns are told by its value alone.
            return (await self._source.samples([channel]))[channel]

    async def read(self, channel: str) -> Sample:
        """Return the sample of a moment after this call.

        Raises:
            ControlSystemError: the channel cannot be read.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        future: asyncio.Future[Sample] = loop.create_future()
        self._waiting.setdefault(channel, []).append(future)
        return await future

    def _begin(self) -> None:
        waiting, self._waiting = list(self._waiting.items()), {}
        for start in range(0, len(waiting), _MOST):
            task = asyncio.create_task(self._ask(dict(waiting[start : start + _MOST])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, waiting: _Waiting) -> None:
        try:
            samples = await self._source.samples(list(waiting))
        except ControlSystemError as error:
            if len(waiting) > 1:
                # One of them fails the request for all: each is asked for by itself.
                await asyncio.gather(*(self._ask({name: futures}) for name, futures in waiting.items()))
                return
            for future in _open(waiting):
                future.set_exception(error)
        except BaseException:
            for future in _open(waiting):
                future.cancel()
            raise
        else:
            for name, futures in waiting.items():
                for future in _open({name: futures}):
                    future.set_result(samples[name])


def _open(waiting: _Waiting) -> list[asyncio.Future[Sample]]:
    """Return those futures for whom somebody still waits."""
    return [future for futures in waiting.values() for future in futures if not future.done()]
