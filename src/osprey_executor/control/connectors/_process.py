"""Our end of a connector's child process: starts it, asks it, and says what became of a write when it dies."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from osprey_executor.control.connectors._child import Child
from osprey_executor.control.connectors._link import Link, Message
from osprey_executor.control.connectors._protocol import Confirmation, LostAnswer, Sample, Timeouts
from osprey_executor.control.connectors._samples import sample
from osprey_executor.errors import (
    ChannelDisconnectedError,
    ControlSystemError,
    MissingExtraError,
    OutcomeUnknownError,
)
from osprey_executor.text import one_line

_START_SECONDS = 60.0
_GRACE = 5.0
_MOST_ERRORS_TOLD = 5


def _give_up(reply: asyncio.Future[Message]) -> None:
    if not reply.done():
        reply.set_exception(TimeoutError())


@dataclass(frozen=True)
class Protocol:
    """What of a child differs from one protocol to another."""

    name: str
    """As people call it."""
    module: str
    """The program of the child."""
    extra: str
    """Of this package, with the library that the child loads."""


class WorkerProcess:
    """One client of a control system's protocol, in a process of its own with a scrubbed environment."""

    def __init__(self, protocol: Protocol, environment: Mapping[str, str], timeouts: Timeouts) -> None:
        self._protocol = protocol
        self._environment = dict(environment)
        self._timeouts = timeouts
        self._child: Child | None = None
        self._link: Link | None = None
        self._numbers = itertools.count()

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            MissingExtraError: the library of the protocol is not installed.
            ControlSystemError: it does not start.
        """
        ours, theirs = socket.socketpair()
        try:
            self._child = await Child.start(self._protocol.module, environment=self._environment, stdin=theirs.fileno())
            _, self._link = await asyncio.get_running_loop().create_connection(Link, sock=ours)
        except OSError as error:
            ours.close()
            raise ControlSystemError(f"the {self._protocol.name} process cannot be started: {error}") from error
        finally:
            theirs.close()
        try:
            hello = await asyncio.wait_for(asyncio.shield(self._link.hello), _START_SECONDS)
        except (TimeoutError, ConnectionError):
            await self._child.stop()
            raise ControlSystemError(
                f"the {self._protocol.name} process did not start: "
                f"{one_line(self._child.last_words, 500) or 'no message'}"
            ) from None
        if not hello["ready"]:
            raise MissingExtraError(f"{self._protocol.name} ({one_line(hello['missing'])})", self._protocol.extra)

    async def stop(self) -> None:
        """End the process."""
        link, child = self._link, self._child
        self._link, self._child = None, None
        if link:
            await link.close()
        if child:
            await child.stop()

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel.

        Raises:
            ChannelDisconnectedError: a channel does not answer; the message names it and how many others.
            ControlSystemError: a channel cannot be read for another reason.
        """
        if not channels:
            return {}
        seconds = self._timeouts.read
        try:
            reply = await self._ask({"op": "read", "channels": list(channels), "timeout": seconds}, seconds + _GRACE)
        except (TimeoutError, ConnectionError) as error:
            raise ControlSystemError(f"{one_line(channels[0])}: cannot be read: {self._why(error)}") from error
        answers: list[Message] = reply["samples"]
        failed = [(name, told) for name, told in zip(channels, answers, strict=True) if "error" in told]
        if failed:
            kind = ChannelDisconnectedError if all(told.get("away") for _, told in failed) else ControlSystemError
            more = f" (and {len(failed) - _MOST_ERRORS_TOLD} more)" if len(failed) > _MOST_ERRORS_TOLD else ""
            shown = [f"{one_line(name)}: {one_line(told['error'])}" for name, told in failed[:_MOST_ERRORS_TOLD]]
            raise kind("cannot be read: " + "; ".join(shown) + more)
        return {name: sample(name, told) for name, told in zip(channels, answers, strict=True)}

    async def monitor(self, channels: Sequence[str]) -> AsyncGenerator[Sample]:
        """Yield samples as they come; of those that wait to be taken, the newest of each channel.

        Raises:
            ChannelDisconnectedError: a channel does not answer, or was disconnected.
        """
        link = self._link
        if link is None or link.ended:
            raise ControlSystemError(f"the {self._protocol.name} process has ended")
        waiting: dict[int, Message] = {}
        woken = asyncio.Event()

        def take(message: Message) -> None:
            # Taken out first, so that the newest stands last: every channel gets its turn.
            waiting.pop(message["index"], None)
            waiting[message["index"]] = message
            woken.set()

        number = next(self._numbers)
        link.monitors[number] = take
        names = list(dict.fromkeys(channels))
        link.send({"id": number, "op": "monitor", "channels": names, "timeout": self._timeouts.read})
        try:
            while True:
                await woken.wait()
                woken.clear()
                while waiting:
                    index = next(iter(waiting))
                    yield self._monitored(names, waiting.pop(index))
        finally:
            del link.monitors[number]
            link.send({"id": number, "op": "end_monitor"})

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put with completion, then read back.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation.
        """
        reply = await self._change({"op": "write", "channel": channel, "value": value}, "written")
        told = reply["sample"]
        return Confirmation(None if "error" in told else sample(channel, told))

    async def call(self, channel: str, arguments: Mapping[str, Any]) -> Any:
        """Run a command.

        Raises:
            ControlSystemError: it failed, or certainly was not run.
            OutcomeUnknownError: no answer.
        """
        reply = await self._change({"op": "call", "channel": channel, "arguments": dict(arguments)}, "done")
        return LostAnswer(one_line(reply["lost"])) if "lost" in reply else reply["value"]

    async def _change(self, message: Message, done: str) -> Message:
        name = one_line(message["channel"])
        if self._link is None or self._link.ended:
            raise ControlSystemError(f"{name}: not sent: the {self._protocol.name} process has ended")
        connect, seconds = self._timeouts.read, self._timeouts.write
        try:
            reply = await self._ask({**message, "connect": connect, "timeout": seconds}, seconds + 2 * connect + _GRACE)
        except TypeError as error:
            raise ControlSystemError(f"{name}: not sent: {error}") from None
        except (TimeoutError, ConnectionError) as error:
            raise OutcomeUnknownError(f"{name}: no confirmation: {self._why(error)}") from error
        if reply["state"] == "failed":
            raise ControlSystemError(f"{name}: not {done}: {one_line(reply['message'])}")
        if reply["state"] != "confirmed":
            raise OutcomeUnknownError(f"{name}: no confirmation: {one_line(reply['message'])}")
        return reply

    async def _ask(self, message: Message, seconds: float) -> Message:
        if self._link is None or self._link.ended:
            raise ConnectionError(f"the {self._protocol.name} process has ended")
        number = next(self._numbers)
        link = self._link
        reply = link.expect(number)
        # Not asyncio.timeout: it costs a tenth of a single read.
        late = asyncio.get_running_loop().call_later(seconds, _give_up, reply)
        try:
            link.send({"id": number, **message})
            return await reply
        finally:
            late.cancel()
            link.forget(number)

    def _monitored(self, names: Sequence[str], message: Message) -> Sample:
        if message["index"] < 0:
            raise ControlSystemError(f"the {self._protocol.name} process has ended")
        index: int = message["index"]
        name, told = names[index], cast(Message, message["sample"])
        if "error" in told:
            kind = ChannelDisconnectedError if told.get("away") else ControlSystemError
            raise kind(f"{one_line(name)}: cannot be monitored: {one_line(told['error'])}")
        return sample(name, told)

    def _why(self, error: Exception) -> str:
        last_words = self._child.last_words if self._child else ""
        told = str(error)
        reason = f"the {self._protocol.name} process has ended" if isinstance(error, ConnectionError) else told
        reason = reason or f"the {self._protocol.name} process does not answer"
        return f"{reason} ({one_line(last_words, 300)})" if last_words else reason
