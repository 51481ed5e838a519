"""The service's end of a link: answers a gateway from the broker session of its run, and believes nothing it says.

A gateway process parses what hostile code sends, so it may be in the code's hands. It can ask what the code could ask
by `osprey_executor.runtime`, and no more: the session decides. A message that is none ends the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, cast, runtime_checkable

from osprey_executor.control.connectors._frames import Unpacker, pack
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways._gathered import Gathered
from osprey_executor.control.gateways._told import described_by, told_of
from osprey_executor.errors import ChannelDisconnectedError, PythonExecutorException
from osprey_executor.models import ControlSession, Refusal
from osprey_executor.text import one_line

_PIECE = 2**16
_LONGEST_NAME = 1000
"""Of anything that is called a channel; which of those are names, the session says."""
_WORDS = 500

Message = dict[str, Any]


@runtime_checkable
class GatewaySession(Protocol):
    """What of a run's broker session a gateway may use."""

    async def samples(self, channels: Sequence[str], *, described: bool = False) -> Mapping[str, Sample]:
        """Return one sample a channel, INVALID ones as they are; `described`: nobody is shown the values."""
        ...

    def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        """Yield the present sample, then each change."""
        ...

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        """Write, or refuse; see `ControlSession.write`."""
        ...

    async def call(self, channel: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
        """Run a command, or refuse it; see `ControlSession.call`."""
        ...

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> NoReturn:
        """Journal and refuse what can be done in no other way."""
        ...


@dataclass(frozen=True)
class Bounds:
    """What one link may use of the service."""

    frame: int = 17 * 2**20
    """Bytes of one message: the largest array that can be written, and a little."""
    document: int = 2**20
    """Bytes of its part that is JSON."""
    channels: int = 1000
    """Of one request for samples."""
    requests: int = 256
    """Being answered at the same time; those after them wait in the socket."""
    looks: int = 1024
    """The same, of requests to describe one channel: they are small, and one that nobody answers for takes seconds."""
    monitors: int = 10_000


async def serve_link(
    session: ControlSession, link: socket.socket, finish: asyncio.Event | None = None, bounds: Bounds = Bounds()
) -> str | None:
    """Answer until the far end closes; return what was wrong with it, None: nothing.

    Writes that are under way at the end are brought to theirs; everything else is dropped. Cancelling drops those, too.

    Args:
        session: of the run.
        link: our end, which is closed at the end.
        finish: set when the program has ended: the gateway is told, and ends when it has passed on what it still had.
        bounds: what the far end may use.
    """
    if not isinstance(session, GatewaySession):
        link.close()
        return "the session of this run has no gateways"
    serving = _Serving(session, bounds)
    reader, serving.writer = await asyncio.open_connection(sock=link)
    serving.out = Gathered(serving.writer)
    telling = asyncio.create_task(serving.tell(finish)) if finish is not None else None
    try:
        return await serving.serve(reader)
    finally:
        if telling is not None:
            telling.cancel()
        await serving.close()


class _Malformed(Exception):
    """A message that no gateway of ours sends."""


class _Serving:
    writer: asyncio.StreamWriter
    out: Gathered

    def __init__(self, session: GatewaySession, bounds: Bounds) -> None:
        self._session, self._bounds = session, bounds
        self._monitors: dict[int, asyncio.Task[None]] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._looks: set[asyncio.Task[None]] = set()
        self._changes: set[asyncio.Task[None]] = set()
        """Those of the requests that may change the machine."""

    async def serve(self, reader: asyncio.StreamReader) -> str | None:
        unpacker = Unpacker(self._bounds.frame, self._bounds.document)
        problem: str | None = None
        try:
            while piece := await reader.read(_PIECE):
                for message in unpacker.feed(piece):
                    while len(self._requests) >= self._bounds.requests or len(self._looks) >= self._bounds.looks:
                        await asyncio.wait(self._requests | self._looks, return_when=asyncio.FIRST_COMPLETED)
                    self._begin(message)
        except ConnectionError:
            pass
        except (_Malformed, ValueError, TypeError, RecursionError) as error:
            problem = f"a message that cannot be understood: {one_line(str(error), 200)}"
            await _refused(lambda: self._session.attempted("", {"gateway": problem}))
        if self._changes:
            await asyncio.wait(self._changes)
        return problem

    async def tell(self, finish: asyncio.Event) -> None:
        await finish.wait()
        self.out.write(pack({"finish": True}))

    async def close(self) -> None:
        tasks = {*self._monitors.values(), *self._requests, *self._looks}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.out.flush()
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def _begin(self, message: Message) -> None:
        number = message.get("id")
        if type(number) is not int:
            raise _Malformed("without an id")
        match message.get("op"):
            case "samples":
                names = _names(message.get("channels"), self._bounds.channels)
                self._request(number, lambda: self._samples(names))
            case "describe":
                names = _names(message.get("channels"), self._bounds.channels)
                task = self._request(number, lambda: self._describe(names))
                if len(names) == 1:
                    self._requests.discard(task)
                    self._looks.add(task)
            case "write":
                name, value = _name(message.get("channel")), message.get("value")
                self._changes.add(self._request(number, lambda: self._write(name, value)))
            case "call":
                name, arguments = _name(message.get("channel")), _arguments(message.get("arguments"))
                self._changes.add(self._request(number, lambda: self._call(name, arguments)))
            case "attempted":
                name, told = _name(message.get("channel")), _arguments(message.get("told"))
                self._changes.add(self._request(number, lambda: self._attempted(name, told)))
            case "monitor":
                self._begin_monitor(number, _name(message.get("channel")))
            case "end_monitor":
                if monitor := self._monitors.pop(number, None):
                    monitor.cancel()
            case _:
                raise _Malformed("without an operation that there is")

    def _request(self, number: int, work: Callable[[], Awaitable[Message]]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._answer(number, work))
        self._requests.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._looks.discard(task)
        self._changes.discard(task)

    async def _answer(self, number: int, work: Callable[[], Awaitable[Message]]) -> None:
        try:
            message = await work()
        except Exception as error:
            message = _error(error)
        try:
            frame = pack({"id": number, **message})
        except Exception as error:
            frame = pack({"id": number, "error": f"it was done, only its answer is lost: {_words(error)}"})
        await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        """Send when there is room for it: who does not read gets nothing more."""
        try:
            self.out.write(frame)
            await self.out.drain()
        except ConnectionError:
            return

    async def _samples(self, names: list[str]) -> Message:
        samples = await self._session.samples(names)
        return {"samples": {name: told_of(sample) for name, sample in samples.items()}}

    async def _describe(self, names: list[str]) -> Message:
        samples = await self._session.samples(names, described=True)
        return {"samples": {name: described_by(sample) for name, sample in samples.items()}}

    async def _write(self, name: str, value: Any) -> Message:
        return {"refused": await _refused(lambda: self._session.write({name: value}))}

    async def _call(self, name: str, arguments: Message) -> Message:
        return {"answer": await self._session.call(name, arguments)}

    async def _attempted(self, name: str, told: Message) -> Message:
        return {"refused": await _refused(lambda: self._session.attempted(name, told))}

    def _begin_monitor(self, number: int, name: str) -> None:
        if number in self._monitors:
            raise _Malformed("the id of a monitor given twice")
        if len(self._monitors) >= self._bounds.monitors:
            self._request(number, self._no_more_monitors)
            return
        self._monitors[number] = asyncio.create_task(self._monitor(number, name))

    async def _no_more_monitors(self) -> Message:
        return {"error": f"{self._bounds.monitors} monitors in one run: no more are kept"}

    async def _monitor(self, number: int, name: str) -> None:
        try:
            async with contextlib.aclosing(self._session.monitor(name)) as samples:
                async for sample in samples:
                    await self._send(pack({"id": number, "sample": told_of(sample)}))
            problem: Message = {"error": "it ended"}
        except Exception as error:
            problem = _error(error)
        await self._send(pack({"id": number, **problem}))
        if self._monitors.get(number) is asyncio.current_task():
            del self._monitors[number]


async def _refused(change: Callable[[], Awaitable[Any]]) -> str | None:
    try:
        left_out = await change()
    except Exception as error:
        return _words(error)
    if isinstance(left_out, Sequence) and left_out and isinstance(left_out[0], Refusal):
        return one_line(left_out[0].reason, _WORDS)
    return None


def _error(error: Exception) -> Message:
    return {"error": _words(error), "away": isinstance(error, ChannelDisconnectedError)}


def _words(error: Exception) -> str:
    told = str(error) if isinstance(error, PythonExecutorException) else f"the broker broke: {type(error).__name__}"
    return one_line(told, _WORDS) or type(error).__name__


def _name(told: object) -> str:
    if not isinstance(told, str) or len(told) > _LONGEST_NAME:
        raise _Malformed("a channel that is no name")
    return told


def _names(told: object, most: int) -> list[str]:
    if not isinstance(told, list):
        raise _Malformed("channels that are no list")
    names = cast("list[object]", told)
    if not 0 < len(names) <= most:
        raise _Malformed(f"{len(names)} channels in one request")
    return [_name(name) for name in names]


def _arguments(told: object) -> Message:
    if not isinstance(told, dict):
        raise _Malformed("arguments that are no mapping")
    return cast(Message, told)
