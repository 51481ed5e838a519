"""The gateway's end of its link to the broker: what a gateway can ask, and the words in which it asks.

Frames are those of `connectors._frames`, on a stream socket. A request is `{"id": n, "op": ...}`, a reply bears its id:

    samples   channels              {"samples": {name: told}}     told: see `_told.told_of`
    describe  channels              the same, without values
    monitor   channel               {"sample": told}, often       until {"error"} or an `end_monitor` of the same id
    write     channel, value        {"refused": words or None}
    call      channel, arguments    {"answer": value}
    attempted channel, told         {"refused": words}

A reply is `{"error": words, "away": true or false}` where a channel cannot be read or a command is not done. Unasked
comes `{"finish": true}`: the program has ended. The far end is `_answers.serve_link`, which takes nothing on trust.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from osprey_executor.control.connectors._frames import Unpacker, pack
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.connectors._samples import sample
from osprey_executor.control.gateways._gathered import Gathered
from osprey_executor.errors import ChannelDisconnectedError, ControlSystemError

_PIECE = 2**16
_LONGEST_NAME = 1000
"""Characters; the far end takes a longer one for no message of ours. The session knows none as long as this."""
_ENDED = "the broker of this run has ended"

Message = dict[str, Any]


class Source(Protocol):
    """The channels of one run, as its broker session gives them."""

    async def samples(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel, by the names as asked for; INVALID ones are returned as they are.

        Raises:
            ChannelDisconnectedError: a channel is unknown, or nobody answers for it.
            ControlSystemError: a channel is no name, or cannot be read for another reason.
        """
        ...

    async def describe(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return what each channel holds, in a sample without a value: to look at a channel is not to read it.

        Raises:
            ControlSystemError: as for `samples`.
        """
        ...

    def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        """Yield the channel's present sample, then each change; of those that wait to be taken, the newest.

        Raises:
            ControlSystemError: the channel cannot be read, or not any more.
        """
        ...

    async def write(self, channel: str, value: Any) -> str | None:
        """Write one channel; return None where it is done and confirmed, else what became of it in words."""
        ...

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Run a command and return its answer.

        Raises:
            ControlSystemError: it is refused, failed, or nobody answers.
        """
        ...

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> str:
        """Tell of an attempt to change something in a way that nobody can check; return the refusal in words."""
        ...


class LinkSource:
    """A `Source` at the far end of a socket. It belongs to the event loop in which it was made."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._out = reader, writer, Gathered(writer)
        self._numbers = itertools.count()
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._monitors: dict[int, _Newest] = {}
        self._hearing = asyncio.create_task(self._hear())
        self.ended = asyncio.Event()
        """Set when the broker is gone; the gateway has no work after that."""
        self.finishing = asyncio.Event()
        """Set when the program has ended: take and pass on what it had sent, then close."""

    @classmethod
    async def connect(cls, link: socket.socket) -> LinkSource:
        """Take over our end of a link."""
        return cls(*await asyncio.open_connection(sock=link))

    async def samples(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """See `Source.samples`."""
        return await self._sampled("samples", channels)

    async def describe(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """See `Source.describe`."""
        return await self._sampled("describe", channels)

    async def monitor(self, channel: str) -> AsyncGenerator[Sample]:
        """See `Source.monitor`."""
        _check([channel])
        number, newest = next(self._numbers), _Newest()
        self._monitors[number] = newest
        try:
            self._send({"id": number, "op": "monitor", "channel": channel})
            while True:
                message = await newest.take()
                _raise(message)
                yield sample(channel, message["sample"])
        finally:
            del self._monitors[number]
            if not self.ended.is_set():
                self._send({"id": number, "op": "end_monitor"})

    async def write(self, channel: str, value: Any) -> str | None:
        """See `Source.write`."""
        return (await self._ask({"op": "write", "channel": channel[:_LONGEST_NAME], "value": value}))["refused"]

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """See `Source.call`."""
        reply = await self._ask({"op": "call", "channel": channel[:_LONGEST_NAME], "arguments": dict(arguments)})
        _raise(reply)
        return reply["answer"]

    async def attempted(self, channel: str, told: Mapping[str, Any]) -> str:
        """See `Source.attempted`."""
        reply = await self._ask({"op": "attempted", "channel": channel[:_LONGEST_NAME], "told": dict(told)})
        _raise(reply)
        return reply["refused"]

    async def close(self) -> None:
        """End the link."""
        self._hearing.cancel()
        await asyncio.wait({self._hearing})
        self._out.flush()
        self._writer.close()

    async def _sampled(self, operation: str, channels: Sequence[str]) -> Mapping[str, Sample]:
        _check(channels)
        reply = await self._ask({"op": operation, "channels": list(channels)})
        _raise(reply)
        return {name: sample(name, told) for name, told in reply["samples"].items()}

    def _send(self, message: Message) -> None:
        if self.ended.is_set():
            raise ControlSystemError(_ENDED)
        self._out.write(pack(message))

    async def _ask(self, message: Message) -> Message:
        number = next(self._numbers)
        self._send({"id": number, **message})
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            return await reply
        finally:
            del self._replies[number]

    async def _hear(self) -> None:
        unpacker = Unpacker()
        try:
            while piece := await self._reader.read(_PIECE):
                for message in unpacker.feed(piece):
                    self._take(message)
        except ConnectionError:
            pass
        finally:
            self._end()

    def _take(self, message: Message) -> None:
        if "finish" in message:
            self.finishing.set()
            return
        number = message["id"]
        if (newest := self._monitors.get(number)) is not None:
            newest.put(message)
        elif (reply := self._replies.get(number)) is not None and not reply.done():
            reply.set_result(message)

    def _end(self) -> None:
        self.ended.set()
        self.finishing.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ControlSystemError(_ENDED))
        for newest in self._monitors.values():
            newest.put({"error": _ENDED})


class _Newest:
    """The newest message that nobody has taken; an error stays."""

    def __init__(self) -> None:
        self._message: Message | None = None
        self._there = asyncio.Event()

    def put(self, message: Message) -> None:
        self._message = message
        self._there.set()

    async def take(self) -> Message:
        await self._there.wait()
        self._there.clear()
        assert self._message is not None
        return self._message


def _check(channels: Sequence[str]) -> None:
    if (longest := max(map(len, channels), default=0)) > _LONGEST_NAME:
        raise ChannelDisconnectedError(f"nobody answers for a name of {longest} characters")


def _raise(reply: Message) -> None:
    if "error" in reply:
        raise (ChannelDisconnectedError if reply.get("away") else ControlSystemError)(reply["error"])
