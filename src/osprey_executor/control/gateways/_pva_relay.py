"""Carries one connection of the code to the p4p server, and looks that values are there before they are asked for.

p4p answers a get with what was posted last. So a request that needs a value waits here until the broker has given it.
What p4p has no handler for (putGet, process, array operations) is refused here, as the attempts that they are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from osprey_executor.control.gateways import _pva_wire as wire
from osprey_executor.control.gateways._link import Source
from osprey_executor.control.gateways._pva_channel import Channel, Gone
from osprey_executor.control.gateways._pva_channels import Channels, canonical
from osprey_executor.control.gateways._pva_streams import FromClient, FromServer
from osprey_executor.control.gateways._pva_waiting import Waiting
from osprey_executor.control.gateways._pva_wire import Command, Malformed, Message
from osprey_executor.errors import ControlSystemError

_PIECE = 2**16
_MOST_ANSWERS = 1000
"""Answers of ours that wait for the end of one of the server's."""
_MOST_CHANNELS = 10_000
"""Of one connection."""
_LAST = 0.5
"""Seconds for each part of what a client had sent before it closed."""

_AS_THEY_ARE = {
    *(Command.CONNECTION_VALIDATION, Command.ECHO, Command.SEARCH, Command.AUTHNZ, Command.MESSAGE),
}
_OPERATIONS = {Command.GET, Command.PUT, Command.MONITOR, Command.RPC, Command.GET_FIELD}
_CALLS = {Command.PUT_GET: "putGet", Command.PROCESS: "process", Command.ARRAY: "array operation"}
_LARGE = {Command.PUT: "put", Command.RPC: "command"}
"""Those of the operations that may bring more than is taken."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """One connection, for as long as both sides keep it.

    Args:
        client: the code's end.
        server: that of the p4p server.
        channels: what the server serves.
        source: answers commands.
    """

    def __init__(self, client: Stream, server: Stream, channels: Channels, source: Source) -> None:
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._channels, self._source = channels, source
        self._client, self._server = FromClient(), FromServer()
        self._asked: dict[int, str] = {}
        """Names by the client's numbers."""
        self._by_sid: dict[int, Channel] = {}
        self._waiting = Waiting(self._to_client.transport.abort)
        self._telling: set[asyncio.Task[str]] = set()
        self._answers: list[bytes] = []
        self._outgoing: list[bytes] = []

    async def carry(self) -> None:
        """Carry until one side closes.

        Raises:
            Malformed: the client sends what is no PVAccess.
        """
        outward, inward = (asyncio.create_task(way()) for way in (self._outward, self._inward))
        rest = {outward, inward}
        try:
            await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
            if outward.done():
                outward.result()
                # What the client had sent last may be a write: it is heard of also where nobody waits for the answer.
                rest |= self._waiting.tasks
                await asyncio.wait(rest - {inward}, timeout=_LAST)
                self._flush()
                self._to_server.write_eof()
                await asyncio.wait({inward}, timeout=_LAST)
        except OSError:
            pass
        finally:
            rest |= self._waiting.tasks
            for task in rest:
                task.cancel()
            for writer in (self._to_client, self._to_server):
                writer.transport.abort()  # who does not read must not hold it up
            await asyncio.gather(*rest, return_exceptions=True)
            await asyncio.gather(*self._telling, return_exceptions=True)

    async def _outward(self) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await self._from_client.read(_PIECE):
                for message in self._client.feed(piece):
                    await self._take(message)
                self._flush()
                await self._to_server.drain()
                await self._to_client.drain()  # answers of ours

    async def _inward(self) -> None:
        while piece := await self._from_server.read(_PIECE):
            reach, about_channels = self._server.feed(piece)
            for message in about_channels:
                self._note(message)
            if self._to_client.is_closing():
                continue  # it is gone; what it had sent is still heard
            self._to_client.write(piece[:reach])
            if reach:
                self._to_client.writelines(self._answers)
                self._answers.clear()
            self._to_client.write(piece[reach:])
            with contextlib.suppress(ConnectionError):
                await self._to_client.drain()

    async def _take(self, message: Message) -> None:
        command = message.command
        if command in _CALLS or (message.missing and command in _LARGE):
            await self._refuse(message)
        elif message.missing:
            raise Malformed(f"a {command.name} of so many bytes")
        elif command in _OPERATIONS:
            self._operate(message)
        elif command is Command.CREATE_CHANNEL:
            self._create(message)
        elif command is Command.DESTROY_CHANNEL:
            sid, _ = message.numbers("II")
            self._lose(sid)
            self._pass(message)
        elif command in (Command.DESTROY_REQUEST, Command.CANCEL_REQUEST):
            _, ioid = message.numbers("II")
            self._waiting.drop(ioid)
            self._pass(message)
        elif command in _AS_THEY_ARE:
            self._pass(message)

    def _operate(self, message: Message) -> None:
        if message.command is Command.GET_FIELD:
            sid, ioid = message.numbers("II")
            subcommand = wire.INIT
        else:
            sid, ioid, subcommand = message.numbers("IIB")
        channel = self._by_sid.get(sid)
        ready = self._ready(message.command, subcommand, channel)
        begins = bool(subcommand & wire.INIT) and message.command is not Command.GET_FIELD
        if ready is None and ioid not in self._waiting and not begins:
            self._pass(message)
        elif self._waiting.full:
            self._fail(message, "too many requests at the same time")
        else:
            writes = message.command is Command.PUT and not subcommand & wire.GET
            written = channel if writes else None
            lost = partial(self._tell, written, "taken back before anybody answered for the channel")
            begun = ioid if begins else None
            self._waiting.add(sid, ioid, partial(self._pass_when, message, ready, written, begun), lost)

    def _ready(
        self, command: Command, subcommand: int, channel: Channel | None
    ) -> Callable[[], Awaitable[None]] | None:
        """Return what must be done before the server gets a request; None: nothing."""
        if channel is None or command is Command.RPC:
            return None
        if subcommand & wire.INIT:
            if command is Command.MONITOR:
                return channel.watch
            return channel.open
        # What a put asks for besides, to fill in, is what is known: to put is not to read.
        return channel.refresh if command is Command.GET else None

    async def _pass_when(
        self,
        message: Message,
        ready: Callable[[], Awaitable[None]] | None,
        written: Channel | None,
        begun: int | None,
        before: asyncio.Task[None] | None,
    ) -> None:
        """Pass a request on when the one before it was, and it is ready. `written` is the channel that it would change.

        One that makes the operation `begun` ready keeps those after it until the server has answered: pvxs hangs up on
        whoever is quicker, and a put among them would be lost unheard. A put that never gets to p4p is told of all the
        same: that somebody tried must not be lost.
        """
        try:
            if before is not None:
                await asyncio.wait({before})
            if ready is not None:
                await ready()
        except Gone:
            self._tell(written, "its channel is gone")
        except ControlSystemError as error:
            self._fail(message, str(error))
            self._tell(written, f"not begun: {error}")
        else:
            await self._pass_and_wait(message, begun)

    async def _pass_and_wait(self, message: Message, begun: int | None) -> None:
        if begun is None or self._to_server.is_closing():
            self._pass(message)
            return
        answered = self._server.awaited[begun] = asyncio.Event()
        try:
            self._pass(message)
            await answered.wait()
        finally:
            if self._server.awaited.get(begun) is answered:
                del self._server.awaited[begun]

    def _tell(self, channel: Channel | None, what: str) -> None:
        if channel is not None:
            telling = asyncio.ensure_future(self._source.attempted(channel.name, {"put": what}))
            self._telling.add(telling)
            telling.add_done_callback(self._told)

    def _told(self, telling: asyncio.Task[str]) -> None:
        self._telling.discard(telling)
        if not telling.cancelled():
            telling.exception()  # without a broker there is nobody to tell

    async def _refuse(self, message: Message) -> None:
        sid, _, _ = message.numbers("IIB")
        channel = self._by_sid.get(sid)
        told: dict[str, object] = {"operation": (_CALLS | _LARGE)[message.command]}
        if message.missing:
            told["bytes"] = len(message.payload) + message.missing
        words = "there is no such channel"
        if channel is not None:
            words = await self._source.attempted(channel.name, told)
        self._fail(message, words)

    def _create(self, message: Message) -> None:
        for cid, encoded in wire.names_of(message):
            name = encoded.decode("ascii", errors="replace")
            if canonical(name) is None:
                self._answer(wire.no_channel(cid, "not the name of a channel", self._server.big))
            elif len(self._asked) >= _MOST_CHANNELS:
                self._answer(wire.no_channel(cid, f"more than {_MOST_CHANNELS} channels", self._server.big))
            else:
                self._asked[cid] = name
                self._send(wire.ask_for_channel(cid, encoded, message.big))

    def _note(self, answer: Message) -> None:
        if answer.command is Command.DESTROY_CHANNEL:
            sid, cid = answer.numbers("II")
            self._asked.pop(cid, None)
            self._lose(sid)
            return
        cid, sid = answer.numbers("II")
        name = self._asked.get(cid)
        channel = self._channels.get(name) if name is not None and wire.succeeded(answer, 8) else None
        if channel is not None:
            self._by_sid[sid] = channel
        else:
            self._asked.pop(cid, None)

    def _lose(self, sid: int) -> None:
        self._by_sid.pop(sid, None)
        self._waiting.lose(sid)

    def _fail(self, message: Message, words: str) -> None:
        if message.command is Command.GET_FIELD:
            (_, ioid), subcommand = message.numbers("II"), None
        else:
            _, ioid, subcommand = message.numbers("IIB")
        self._answer(wire.failure(message.command, ioid, subcommand, words, self._server.big))

    def _answer(self, answer: bytes) -> None:
        if self._to_client.is_closing():
            return
        if self._server.between:
            self._to_client.write(answer)
        elif len(self._answers) < _MOST_ANSWERS:
            self._answers.append(answer)
        else:
            raise Malformed("more requests than answers are taken")

    def _pass(self, message: Message) -> None:
        self._send(message.raw)

    def _send(self, raw: bytes) -> None:
        """Send to the server, together with what else is sent now: a packet each costs more than all the rest."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(raw)

    def _flush(self) -> None:
        if self._outgoing and not self._to_server.is_closing():
            self._to_server.write(b"".join(self._outgoing))
        self._outgoing.clear()
