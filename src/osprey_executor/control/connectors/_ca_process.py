"""Our end of the Channel Access process: starts it, asks it, and says what became of a write when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from osprey_executor.control.connectors._child import Child
from osprey_executor.control.connectors._frames import pack, receive
from osprey_executor.control.connectors._protocol import ChannelKind, Confirmation, Sample, Timeouts
from osprey_executor.errors import ControlSystemError, MissingExtraError, OutcomeUnknownError
from osprey_executor.models import AlarmSeverity
from osprey_executor.text import one_line

_START_SECONDS = 60.0
_GRACE = 5.0
_MOST_ERRORS_TOLD = 5


class ChannelAccessProcess:
    """One Channel Access client context, in a process of its own."""

    def __init__(self, environment: Mapping[str, str], timeouts: Timeouts, extra: str) -> None:
        self._environment = dict(environment)
        self._timeouts = timeouts
        self._extra = extra
        self._child: Child | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._replies: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count()

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            MissingExtraError: the Channel Access library is not installed.
            ControlSystemError: it does not start.
        """
        ours, theirs = socket.socketpair()
        try:
            self._child = await Child.start(
                "osprey_executor.control.connectors._ca_worker",
                environment=self._environment,
                stdin=theirs.fileno(),
            )
            reader, self._writer = await asyncio.open_connection(sock=ours)
        except OSError as error:
            ours.close()
            raise ControlSystemError(f"the Channel Access process cannot be started: {error}") from error
        finally:
            theirs.close()
        try:
            hello = await asyncio.wait_for(receive(reader), _START_SECONDS)
        except (TimeoutError, ValueError):
            hello = None
        if hello is None:
            await self._child.stop()
            raise ControlSystemError(
                f"the Channel Access process did not start: {one_line(self._child.last_words, 500) or 'no message'}"
            )
        if not hello["ready"]:
            raise MissingExtraError(f"Channel Access ({one_line(hello['missing'])})", self._extra)
        self._replies = asyncio.create_task(self._take_replies(reader))

    async def stop(self) -> None:
        """End the process."""
        if self._replies:
            self._replies.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._replies
        if self._writer:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        if self._child:
            await self._child.stop()
        self._replies, self._writer, self._child = None, None, None

    async def read(self, channels: Sequence[str]) -> Mapping[str, Sample]:
        """Return one sample a channel.

        Raises:
            ControlSystemError: a channel does not answer; the message names it and how many others.
        """
        if not channels:
            return {}
        seconds = self._timeouts.read
        try:
            reply = await self._ask({"op": "read", "channels": list(channels), "timeout": seconds}, seconds + _GRACE)
        except (TimeoutError, ConnectionError) as error:
            raise ControlSystemError(f"{one_line(channels[0])}: cannot be read: {self._why(error)}") from error
        samples = dict(zip(channels, reply["samples"], strict=True))
        failed = [f"{one_line(name)}: {one_line(told['error'])}" for name, told in samples.items() if "error" in told]
        if failed:
            more = f" (and {len(failed) - _MOST_ERRORS_TOLD} more)" if len(failed) > _MOST_ERRORS_TOLD else ""
            raise ControlSystemError("cannot be read: " + "; ".join(failed[:_MOST_ERRORS_TOLD]) + more)
        return {name: _sample(name, told) for name, told in samples.items()}

    async def write(self, channel: str, value: Any) -> Confirmation:
        """Put with completion, then read back.

        Raises:
            ControlSystemError: it certainly was not written.
            OutcomeUnknownError: no confirmation.
        """
        message = {
            "op": "write",
            "channel": channel,
            "value": value,
            "connect": self._timeouts.read,
            "timeout": self._timeouts.write,
        }
        if self._writer is None or self._writer.is_closing():
            raise ControlSystemError(f"{one_line(channel)}: not sent: the Channel Access process has ended")
        try:
            reply = await self._ask(message, self._timeouts.write + 2 * self._timeouts.read + _GRACE)
        except (TimeoutError, ConnectionError) as error:
            raise OutcomeUnknownError(f"{one_line(channel)}: no confirmation: {self._why(error)}") from error
        if reply["state"] == "failed":
            raise ControlSystemError(f"{one_line(channel)}: not written: {one_line(reply['message'])}")
        if reply["state"] != "confirmed":
            raise OutcomeUnknownError(f"{one_line(channel)}: no confirmation: {one_line(reply['message'])}")
        told = reply["sample"]
        return Confirmation(None if "error" in told else _sample(channel, told))

    async def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._writer is None or self._replies is None or self._replies.done():
            raise ConnectionError("the Channel Access process has ended")
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(pack({"id": number, **message}))
            async with asyncio.timeout(seconds):
                await self._writer.drain()
                return await future
        finally:
            del self._pending[number]

    async def _take_replies(self, reader: asyncio.StreamReader) -> None:
        try:
            while (reply := await receive(reader)) is not None:
                future = self._pending.get(reply["id"])
                if future and not future.done():
                    future.set_result(reply)
        except ValueError:
            pass  # a broken frame: nothing after it can be trusted
        finally:
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(ConnectionError("the Channel Access process has ended"))

    def _why(self, error: Exception) -> str:
        last_words = self._child.last_words if self._child else ""
        reason = str(error) or "the Channel Access process does not answer"
        return f"{reason} ({one_line(last_words, 300)})" if last_words else reason


def _sample(channel: str, told: Mapping[str, Any]) -> Sample:
    dtype: str = told["dtype"]
    if dtype == "string":
        kind = ChannelKind.TEXT
    elif told["count"] > 1:
        kind = ChannelKind.TEXT if isinstance(told["value"], str) else ChannelKind.ARRAY
    else:
        kind = ChannelKind.ENUM if dtype == "enum" else ChannelKind.NUMBER
    return Sample.model_construct(
        channel=channel,
        value=told["value"],
        units=told["units"],
        severity=AlarmSeverity(told["severity"]),
        timestamp=datetime.fromtimestamp(told["time"], UTC),
        kind=kind,
        dtype=dtype,
        labels=tuple(told["labels"]),
        count=told["count"],
        writable=told["writable"],
        control_limits=tuple(told["control_limits"]) if told["control_limits"] else None,
    )
