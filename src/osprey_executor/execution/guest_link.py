"""The host's side of one guest: answers its calls, keeps what it hands over, and believes none of it."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import PurePath
from typing import Any

from osprey_executor import errors
from osprey_executor.execution._events import EngineEvent
from osprey_executor.execution._guest_calls import MOST_CALL, GuestCalls
from osprey_executor.execution._guest_frames import Frame, FrameSocket, Malformed
from osprey_executor.execution._guest_keep import GuestKeep
from osprey_executor.execution._guest_progress import ProgressRelay, tell
from osprey_executor.execution._guest_report import GuestError, GuestReport, guest_error
from osprey_executor.models import ControlSession, Limits, show_size
from osprey_executor.results.decoder import MOST_DOCUMENT
from osprey_executor.results.encoder import encode

__all__ = ["PROTOCOL", "GuestError", "GuestLink", "GuestReport"]

PROTOCOL = 1
"""Version of the frames between worker and link; both come from the same installation."""

_AT_ONCE = 64
_LARGE = 1 << 16
"""Bytes of a call that is answered alone: what a guest has under way at once must not fill the service's memory."""
_IN_A_ROW = 4
"""Frames that are taken before others have their turn."""
_PATIENCE = 10.0
_log = logging.getLogger(__name__)


class GuestLink:
    """One link, for one run. `serve` returns when the guest finishes, breaks the protocol or goes away."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        code_path: str | PurePath,
        context: Mapping[str, Any],
        nonce: str,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take over our end of the socket pair whose other end the guest inherits.

        Args:
            sock: a connected stream socket; it is closed when `serve` ends.
            code_path: of the program, as the guest sees it.
            context: what the program finds at `context`.
            nonce: what only the guest's own code shall know; fresh for each run, hard to guess.
            control: answers reads and writes; None: each of them fails with ControlSystemError.
            on_event: called in the event loop for progress, at most 20 times a second, and for each figure that is
                kept; what it raises is logged.
            limits: `results` bounds all that is kept.

        Raises:
            ResultsError: the context cannot be encoded; the message says what in it.
        """
        self._limits = limits or Limits()
        self._document, self._blobs = encode(dict(context))
        self._path, self._nonce = str(code_path), nonce
        self._frames = FrameSocket(sock, max(self._limits.results, MOST_CALL), self._admit)
        self._calls = GuestCalls(control)
        self._keep = GuestKeep(self._limits)
        self._on_event, self._progress = on_event, ProgressRelay(on_event)
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots, self._large = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(1)
        self._started = self._finished = False
        self._error: GuestError | None = None

    async def serve(self) -> GuestReport:
        """Hand the program to the guest and answer until it ends.

        Raises:
            asyncio.CancelledError: the task was cancelled; calls under way were cancelled too.
        """
        violation = None
        try:
            await self._start()
            violation = await self._listen()
            await self._settle()
            small = self._keep.size <= _LARGE
            report = self._report(violation) if small else await asyncio.to_thread(self._report, violation)
        finally:
            for task in self._tasks:
                task.cancel()
            self._frames.close()
            self._progress.close()
        return report

    def stop(self) -> None:
        """Make `serve` return once it has read what has already arrived; for when the guest's process is gone."""
        self._frames.shut()

    async def _start(self) -> None:
        header = {
            "op": "start",
            "code_path": self._path,
            "nonce": self._nonce,
            "context": self._document,
            "limits": {"results": self._limits.results, "document": min(self._limits.results, MOST_DOCUMENT)},
        }
        await self._frames.send(header, self._blobs)
        self._document, self._blobs = None, []

    def _admit(self, header: dict[str, Any], size: int) -> None:
        """Refuse a frame that is too large; before large results are read, those before them give way."""
        op = header.get("op")
        handed_over = op in ("figure", "publish", "finish")
        most, name = (self._limits.results, "limits.results allows") if handed_over else (MOST_CALL, "a call takes")
        if size > most:
            raise Malformed(f"a frame of {show_size(size)}; {name} {show_size(most)}")
        if op in ("publish", "finish"):
            self._keep.make_room(size)

    async def _listen(self) -> str | None:
        about: Any = None
        taken = 0
        try:
            while not self._finished:
                about = None
                frame = await self._frames.receive()
                if frame is None:
                    return None
                about = frame.header.get("channel")
                await self._take(frame)
                del frame  # else its blobs would stay while the next ones are read
                taken += 1
                if taken % _IN_A_ROW == 0:
                    await asyncio.sleep(0)  # a flood never blocks, and must not keep the loop from others
        except Malformed as broken:
            self._frames.shut()
            await self._calls.broken(about, f"{broken!s:.300}")
            return f"it sent {broken!s:.300}"
        return None

    async def _take(self, frame: Frame) -> None:
        header = frame.header
        match header.get("op"):
            case "hello":
                self._hello(header)
            case "progress":
                self._progress.take(header.get("fraction"), header.get("message"))
            case "figure":
                if drawn := self._keep.figure(header.get("index"), frame):
                    tell(self._on_event, drawn)
            case "publish":
                self._keep.publish(header.get("problems"), frame)
                await self._dispatch(header, _nothing, 0)
            case "finish":
                self._finish(header, frame)
            case str() as op:
                await self._dispatch(header, self._calls.call(op, header, frame.blobs), frame.size)
            case _:
                raise Malformed("a frame without an operation")

    def _hello(self, header: dict[str, Any]) -> None:
        if self._started or header.get("protocol") != PROTOCOL:
            raise Malformed("a second greeting, or one of another version")
        self._started = True

    def _finish(self, header: dict[str, Any], frame: Frame) -> None:
        nonce = header.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode("utf-8", "replace"), self._nonce.encode()
        ):
            raise Malformed("a claim to have finished, without the secret that only the service's own code has")
        error = header.get("error")
        self._error = None if error is None else guest_error(error)
        self._keep.finish(header.get("results"), header.get("problems"), frame)
        self._finished = True

    async def _dispatch(self, header: dict[str, Any], call: Callable[[], Awaitable[Any]], size: int) -> None:
        number = header.get("id")
        if type(number) is not int:
            raise Malformed("a call without a number")
        slot = self._slots if size <= _LARGE else self._large
        await slot.acquire()
        task = asyncio.create_task(self._answer(number, call, slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, call: Callable[[], Awaitable[Any]], slot: asyncio.Semaphore) -> None:
        try:
            document, blobs = encode(await call())
            reply = {"id": number, "ok": document}
        except Exception as error:
            reply, blobs = {"id": number, "error": _told(error)}, []
        finally:
            slot.release()
        await self._frames.send(reply, blobs)

    async def _settle(self) -> None:
        """Let calls under way come to their end, so that a write is known to have arrived or not."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE)

    def _report(self, violation: str | None) -> GuestReport:
        kept = self._keep.decoded()
        error = self._error
        if kept.refused is not None and error is None:
            error = GuestError("ResultsError", kept.refused)
        return GuestReport(
            started=self._started,
            finished=self._finished,
            has_results=kept.results is not None,
            results=kept.results or {},
            problems=kept.problems,
            error=error,
            figures=kept.figures,
            published=kept.published,
            violation=violation,
        )


async def _nothing() -> None:
    return None


def _told(error: Exception) -> dict[str, str]:
    """Return what the guest may know of an error; of one that nobody meant, only its name."""
    if isinstance(error, errors.PythonExecutorException):
        return {"type": _known(error), "message": str(error)[:2000]}
    _log.error("a call of the guest failed", exc_info=error)
    return {"type": "ControlSystemError", "message": f"the service failed to do this ({type(error).__name__})"}


def _known(error: Exception) -> str:
    for kind in type(error).__mro__:
        if kind.__name__ in _GUEST_NAMES:
            return kind.__name__
    return "ControlSystemError"


_GUEST_NAMES = frozenset(
    {"ControlSystemError", "WriteRefused", "ChannelLimitsViolationError", "OutcomeUnknownError", "ResultsError"}
)
