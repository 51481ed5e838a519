"""One client's connection by Channel Access. Whatever writes goes to the broker; a command that is none ends it.

Framing and commands are caproto's; its state machines are not used: what a hostile client may do out of order is
checked here, command by command.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways import _ca_values as values
from osprey_executor.control.gateways._ca_found import Found
from osprey_executor.control.gateways._ca_stream import Hostile, Stream
from osprey_executor.control.gateways._gathered import Gathered
from osprey_executor.control.gateways._link import Source
from osprey_executor.control.gateways._together import Together
from osprey_executor.errors import ControlSystemError

ca: Any = import_module("caproto")

VERSION = 13
_PIECE = 2**14
_MOST_CHANNELS = 20_000
_MOST_SUBSCRIPTIONS = 20_000
_MOST_ASKED = 50_000
"""Commands whose answers are on their way; searches for names that nobody knows wait for some seconds."""
_READS = 1000
"""Answered at the same time; the next command waits for one of them."""
_WRITES = 64
_AFTER_WRITES = 0.2
"""Seconds that a read waits for writes before it, which an IOC would have done by then: they may take long, as the
broker sends each with a put-callback, and a program that watches a motor on its way reads meanwhile."""
_PROPERTY = 8
"""Of a subscription's mask, DBE_PROPERTY: caeventmask.h."""
_NO_WRITE, _NO_READ = ca.CAStatus.ECA_NOWTACCESS, ca.CAStatus.ECA_NORDACCESS
_GET_FAILED, _BAD_TYPE = ca.CAStatus.ECA_GETFAIL, ca.CAStatus.ECA_BADTYPE
_DONE = ca.CAStatus.ECA_NORMAL
_LONGEST_WORDS = 200


_Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class _Channel:
    name: str
    cid: int
    sid: int
    kind: int
    count: int
    readable: bool


class Circuit:
    """Speaks with one client until either side ends."""

    def __init__(self, source: Source, found: Found, port: int) -> None:
        self._source, self._found, self._port = source, found, port
        self._reading = Together(source.samples)
        self._channels: dict[int, _Channel] = {}
        self._subscriptions: dict[int, tuple[_Channel, asyncio.Task[None]]] = {}
        self._numbers = iter(range(1, 2**31))
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes: set[asyncio.Task[None]] = set()
        self._reads, self._writes = asyncio.Semaphore(_READS), asyncio.Semaphore(_WRITES)
        self._flows = asyncio.Event()
        self._flows.set()
        self._writer: asyncio.StreamWriter
        self._out: Gathered

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer; writes that the client sent before it went are brought to their end."""
        self._writer, self._out = writer, Gathered(writer)
        stream = Stream()
        try:
            self._send(ca.VersionResponse(VERSION))
            while piece := await reader.read(_PIECE):
                for command in stream.feed(piece):
                    await self._take(command)
                await writer.drain()
        except ConnectionError:
            pass
        except Exception:  # caproto raises whatever its structures raise
            writer.transport.abort()
            self._tell_of(*stream.refused())
        finally:
            if self._changes:
                await asyncio.wait(self._changes)
            await self._close()

    def _tell_of(self, command: int, kind: int, sid: int) -> None:
        """Have an attempt to write seen that cannot even be parsed."""
        if command in (ca.WriteRequest.ID, ca.WriteNotifyRequest.ID) and sid in self._channels:
            name = self._channels[sid].name

            async def call() -> None:
                await self._source.attempted(name, {"write": f"a write of DBR type {kind}"})

            self._changes.add(self._start(call))

    async def _close(self) -> None:
        tasks = {*self._tasks, *(task for _, task in self._subscriptions.values())}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._out.flush()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _take(self, command: Any) -> None:
        if len(self._tasks) > _MOST_ASKED:
            raise Hostile
        match command:
            case ca.VersionRequest() | ca.ClientNameRequest() | ca.HostNameRequest() | ca.ReadSyncRequest():
                return  # whom the client says to be is of no interest
            case ca.EchoRequest():
                self._send(ca.EchoResponse())
            case ca.SearchRequest():
                name, cid = command.name, command.cid
                self._start(lambda: self._search(name, cid))
            case ca.CreateChanRequest():
                name, cid = command.name, command.cid
                self._start(lambda: self._create(name, cid))
            case ca.ReadNotifyRequest() | ca.ReadRequest():
                channel = self._channel(command.sid)
                await self._reads.acquire()
                reading = self._start(lambda: self._read(channel, command))
                reading.add_done_callback(lambda _: self._reads.release())
            case ca.WriteRequest() | ca.WriteNotifyRequest():
                await self._change(command)
            case ca.EventAddRequest():
                self._subscribe(command)
            case ca.EventCancelRequest():
                self._unsubscribe(command)
            case ca.EventsOffRequest():
                self._flows.clear()
            case ca.EventsOnRequest():
                self._flows.set()
            case ca.ClearChannelRequest():
                self._clear(command)
            case _:
                raise Hostile

    def _send(self, *commands: Any) -> None:
        self._out.write(b"".join(map(bytes, commands)))

    def _start(self, work: _Work) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: _Work) -> None:
        try:
            await work()
        except (ConnectionError, ControlSystemError):
            self._writer.transport.abort()

    def _channel(self, sid: int) -> _Channel:
        try:
            return self._channels[sid]
        except KeyError:
            raise Hostile from None

    async def _search(self, name: str, cid: int) -> None:
        if await self._found.is_there(name):
            # The address is that of this circuit.
            self._send(ca.SearchResponse(self._port, None, cid, VERSION))

    async def _create(self, name: str, cid: int) -> None:
        if len(self._channels) >= _MOST_CHANNELS or not await self._found.is_there(name):
            self._send(ca.CreateChFailResponse(cid))
            return
        sample, rights = self._found.sample(name), ca.AccessRights.WRITE
        kind, count = values.DOUBLE, 1
        if sample is not None:
            with contextlib.suppress(values.Unservable):
                kind, count = values.native(sample)
                rights |= ca.AccessRights.READ
        channel = _Channel(name, cid, next(self._numbers), kind, count, bool(rights & ca.AccessRights.READ))
        self._channels[channel.sid] = channel
        # A client that is told of no right to write refuses by itself, and nobody sees the attempt.
        self._send(ca.AccessRightsResponse(cid, rights), ca.CreateChanResponse(kind, count, cid, channel.sid))

    async def _read(self, channel: _Channel, command: Any) -> None:
        kind, count, ioid = command.header.data_type, command.header.data_count, command.ioid
        if not values.readable(kind) or count > channel.count:
            self._send(self._error(command, channel, _BAD_TYPE, "no such type, or too many elements"))
            return
        if earlier := set(self._changes):
            await asyncio.wait(earlier, timeout=_AFTER_WRITES)
        status = _DONE
        try:
            sample = await self._reading.sample(channel.name)
            count, description, elements = values.payload(sample, kind, count)
        except values.Unservable:
            status, (description, elements) = _BAD_TYPE, values.nothing(kind, count)
        except ControlSystemError:
            status, (description, elements) = _GET_FAILED, values.nothing(kind, count)
        if isinstance(command, ca.ReadRequest):
            answer = ca.ReadResponse(elements, kind, count, channel.cid, ioid, metadata=description)
        else:
            answer = ca.ReadNotifyResponse(elements, kind, count, status, ioid, metadata=description)
        self._send(answer)
        await self._writer.drain()

    async def _change(self, command: Any) -> None:
        channel = self._channel(command.sid)
        kind, count = command.header.data_type, command.header.data_count
        raw = b"".join(map(bytes, command.buffers))
        await self._writes.acquire()
        try:
            value, problem = values.written(kind, count, raw), None
        except values.Unservable as error:  # alarms that are acknowledged, among others
            value, problem = None, str(error)
        task = self._start(lambda: self._changed(channel, command, value, problem))
        self._changes.add(task)
        task.add_done_callback(self._end_change)

    def _end_change(self, task: asyncio.Task[None]) -> None:
        self._changes.discard(task)
        self._writes.release()

    async def _changed(self, channel: _Channel, command: Any, value: Any, problem: str | None) -> None:
        try:
            if problem:
                refused = await self._source.attempted(channel.name, {"write": problem})
            else:
                refused = await self._source.write(channel.name, value)
        except ControlSystemError as error:
            refused = str(error)
        header = command.header
        if isinstance(command, ca.WriteNotifyRequest):
            status = _NO_WRITE if refused else _DONE
            self._send(ca.WriteNotifyResponse(header.data_type, header.data_count, status, command.ioid))
        elif refused:
            self._send(self._error(command, channel, _NO_WRITE, refused))

    def _error(self, command: Any, channel: _Channel, status: Any, words: str) -> Any:
        plain = words.encode("ascii", "replace").decode()[:_LONGEST_WORDS]
        return ca.ErrorResponse(command, channel.cid, status, plain)

    def _subscribe(self, command: Any) -> None:
        channel, number = self._channel(command.sid), command.subscriptionid
        kind, count = command.header.data_type, command.header.data_count
        if number in self._subscriptions or len(self._subscriptions) >= _MOST_SUBSCRIPTIONS:
            raise Hostile
        if not values.readable(kind) or count > channel.count:
            self._send(self._error(command, channel, _BAD_TYPE, "no such type, or too many elements"))
            return
        once = command.mask == _PROPERTY

        def work() -> Awaitable[None]:
            if channel.readable:
                return self._monitor(channel, number, kind, count, once=once)
            return self._shut(number, kind)

        self._subscriptions[number] = (channel, asyncio.create_task(self._guarded(work)))

    async def _shut(self, number: int, kind: int) -> None:
        description, elements = values.nothing(kind, 1)
        self._send(ca.EventAddResponse(elements, kind, 1, _NO_READ, number, metadata=description))

    async def _monitor(self, channel: _Channel, number: int, kind: int, count: int, *, once: bool) -> None:
        last, moment = b"", None
        try:
            async with contextlib.aclosing(self._source.monitor(channel.name)) as samples:
                async for sample in samples:
                    await self._flows.wait()
                    event = bytes(self._event(sample, number, kind, count))
                    if event == last and sample.timestamp == moment:  # a first value, told again at its subscription
                        continue
                    last, moment = event, sample.timestamp
                    self._send(event)
                    await self._writer.drain()
                    if once:  # descriptions are not followed
                        return
        except ControlSystemError:
            # To the client the channel is gone: it searches again, and so do we.
            self._found.forget(channel.name)
            self._lose(channel)

    def _event(self, sample: Sample, number: int, kind: int, count: int) -> Any:
        try:
            told, description, elements = values.payload(sample, kind, count)
            status = _DONE
        except values.Unservable:
            told, status, (description, elements) = max(count, 1), _BAD_TYPE, values.nothing(kind, count)
        return ca.EventAddResponse(elements, kind, told, status, number, metadata=description)

    def _lose(self, channel: _Channel) -> None:
        if self._channels.pop(channel.sid, None):
            self._send(ca.ServerDisconnResponse(channel.cid))
            self._end_subscriptions(channel)

    def _unsubscribe(self, command: Any) -> None:
        _, task = self._subscriptions.pop(command.subscriptionid, (None, None))
        if task is not None:
            task.cancel()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        header = command.header
        # An event without a value says that no more come (rsrv: event_cancel_reply).
        self._send(ca.EventAddResponse(b"", header.data_type, 0, _DONE, command.subscriptionid))

    def _clear(self, command: Any) -> None:
        channel = self._channel(command.sid)
        del self._channels[channel.sid]
        self._end_subscriptions(channel)
        self._send(ca.ClearChannelResponse(channel.sid, channel.cid))

    def _end_subscriptions(self, channel: _Channel) -> None:
        current = asyncio.current_task()
        for number, (of, task) in list(self._subscriptions.items()):
            if of is channel:
                del self._subscriptions[number]
                if task is not current:
                    task.cancel()
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
