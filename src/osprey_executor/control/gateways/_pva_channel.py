"""One channel of the gateway's p4p server, whose values are those that the run's broker tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways._link import Source
from osprey_executor.control.gateways._pva_reads import Reads
from osprey_executor.control.gateways._pva_structures import (
    UNREAD,
    Layout,
    NoValue,
    about,
    answer_structure,
    arguments_of,
    layout,
    moment,
    put_value,
    structure_type,
)
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError

_AGAIN = 1.0
"""Seconds before a channel that nobody answers for is asked for again."""


class Gone(Exception):
    """The server has told the client that the channel is away; there is nothing more to answer."""


class Channel:
    """One channel. Methods belong to the event loop, but for those that p4p calls in a thread of its own.

    p4p answers gets and monitors from the value that was posted last. So whoever passes a client's request on to it
    first has the channel looked at (`open`), its value read (`refresh`), or its changes followed (`watch`).
    """

    def __init__(
        self,
        name: str,
        source: Source,
        reads: Reads,
        later: Callable[[Coroutine[Any, Any, None]], None],
        closed: Callable[[Channel], None],
    ) -> None:
        self.name = name
        self.pv: Any = import_module("p4p.server.raw").SharedPV(handler=self)
        self._source, self._reads = source, reads
        self._later, self._closed = later, closed
        self._opening = asyncio.Lock()
        self._gone = False
        self._layout: Layout | None = None
        self._about: Any = None
        self._shown: Sample | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._watched: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Know what it holds, which is not to read it; wait for as long as nobody answers for it.

        Raises:
            ControlSystemError: it cannot be read for another reason.
            Gone: nobody waits for it any more.
        """
        while True:
            async with self._opening:
                if self._gone:
                    raise Gone
                if self._layout is not None:
                    return
                with contextlib.suppress(ChannelDisconnectedError):
                    self._describe(await self._reads.describe(self.name))
                    return
            await asyncio.sleep(_AGAIN)

    async def refresh(self) -> None:
        """Have the value of now.

        Raises:
            ControlSystemError: it cannot be read.
            Gone: nobody answers for it any more.
        """
        try:
            self._show(await self._reads.read(self.name))
        except ChannelDisconnectedError:
            self.close()
            raise Gone from None

    async def watch(self) -> None:
        """Follow its changes from now on, until no client has it any more; return when there is a value.

        Raises:
            ControlSystemError: it cannot be monitored.
            Gone: nobody waits for it any more.
        """
        if self._gone:
            raise Gone
        if self._watcher is None or self._watcher.done() or self._watched is None:
            self._watched = asyncio.get_running_loop().create_future()
            self._watcher = asyncio.create_task(self._follow(self._watched))
        await asyncio.shield(self._watched)

    def close(self) -> None:
        """Let clients see that it is away; they will ask for it again."""
        self._gone = True
        self._end()
        self.pv.close()

    def put(self, pv: Any, operation: Any) -> None:
        """Take a put, in a thread of p4p."""
        self._later(self._answered(operation, self._written(operation)))

    def rpc(self, pv: Any, operation: Any) -> None:
        """Take a command, in a thread of p4p."""
        self._later(self._answered(operation, self._called(operation)))

    def onLastDisconnect(self, pv: Any) -> None:
        """Note, in a thread of p4p, that no client has the channel."""
        self._closed(self)
        self._later(self._left())

    async def _left(self) -> None:
        self._gone = True
        self._end()

    def _end(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    async def _follow(self, first: asyncio.Future[None]) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._source.monitor(self.name)) as samples:
                    async for sample in samples:
                        self._show(sample)
                        if not first.done():
                            first.set_result(None)
            except ControlSystemError as error:
                if first.done():
                    self.close()
                    return
                if not isinstance(error, ChannelDisconnectedError):
                    first.set_exception(error)
                    first.exception()  # whoever waited may be gone
                    return
            except Gone:
                return
            await asyncio.sleep(_AGAIN)

    def _describe(self, sample: Sample) -> None:
        if self._gone:
            raise Gone
        if self._layout is None:  # it may be monitored meanwhile
            self._layout, self._about = layout(sample), about(sample)
            self._hand_over(self.pv.open, self._about, UNREAD if sample.value is None else moment(sample))

    def _show(self, sample: Sample) -> None:
        self._describe(sample)
        if layout(sample) != self._layout:
            self.close()
            raise Gone
        aside = about(sample)
        if aside == self._about and self._is_old(sample):
            return
        self._hand_over(self.pv.post, {} if aside == self._about else aside, moment(sample))
        self._about, self._shown = aside, sample

    def _hand_over(self, take: Callable[[Any], None], aside: dict[str, Any], now: dict[str, Any]) -> None:
        assert self._layout is not None
        try:
            take(_structure(self._layout, aside, now))
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise ControlSystemError(f"{self.name}: no structure of PVAccess holds its value: {error}") from None

    def _is_old(self, sample: Sample) -> bool:
        """Whether it tells nothing new to those who monitor the channel: a get must not look like a change."""
        shown = self._shown
        if shown is None or sample.timestamp is None or shown.timestamp is None:
            return False
        if self._watcher is not None and sample.timestamp < shown.timestamp:
            return True  # it was read before the change that was shown meanwhile
        same = (sample.timestamp, sample.severity, sample.status) == (shown.timestamp, shown.severity, shown.status)
        return same and _same(sample.value, shown.value)

    async def _written(self, operation: Any) -> None:
        try:
            value = put_value(operation.value())
        except NoValue as error:
            refused = await self._source.attempted(self.name, error.args[0])
        else:
            refused = await self._source.write(self.name, value)
        if refused is not None:
            raise ControlSystemError(refused or "refused")

    async def _called(self, operation: Any) -> Any:
        try:
            arguments = arguments_of(operation.value())
        except NoValue as error:
            raise ControlSystemError(await self._source.attempted(self.name, error.args[0])) from None
        answer = await self._source.call(self.name, arguments)
        try:
            return answer_structure(answer)
        except Exception as error:  # p4p raises whatever its structures raise
            raise ControlSystemError(
                f"{self.name}: the command was done and confirmed, only its answer is lost: {error}"
            ) from None

    async def _answered(self, operation: Any, work: Coroutine[Any, Any, Any]) -> None:
        try:
            answer = await work
        except Exception as error:  # whatever it is, the client must not take it for done
            operation.done(error=str(error) or type(error).__name__)
        else:
            operation.done(answer)


def _structure(kind: Layout, aside: dict[str, Any], now: dict[str, Any]) -> Any:
    fields = {**aside, **now}
    if kind.kind == "NTEnum" and aside:
        fields["value"] = {**aside["value"], **now.get("value", {})}
    value_type: Any = import_module("p4p").Value
    return value_type(structure_type(kind), fields)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) or hasattr(one, "dtype") or isinstance(one, list):
        return False  # it has a time stamp of its own in practice, and comparing would cost more than showing it
    return bool(one == other)
