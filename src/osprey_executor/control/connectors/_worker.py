"""The child's side of a connector: requests in, answers out, from whatever thread they come."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from osprey_executor.control.connectors._frames import Unpacker, pack

_PIECE = 2**16
_ROOM = 200 * 2**20
"""Bytes of arrays that one message may bring; a frame holds a little more."""

Answer = dict[str, Any]


class Requests:
    """Serves the requests that come over standard input, which is a socket, until it ends.

    Handlers run in the main thread and must not wait; `reply` may be called from any thread.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        self._sending = threading.Lock()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def reply(self, message: Answer) -> None:
        """Send one message."""
        frame = pack(message)
        # Whoever asked may be gone: then the main thread sees the end of the stream.
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(frame)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Run something after so many seconds; to be called by handlers only."""
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), do))

    def serve(self, handlers: Mapping[str, Callable[[Answer], object]]) -> None:
        """Say that we are ready, then hand each message to the handler of its `op`."""
        self.reply({"ready": True})
        unpacker = Unpacker()
        while True:
            wait = max(self._later[0][0] - time.monotonic(), 0) if self._later else None
            if select.select([self._socket], [], [], wait)[0]:
                piece = self._socket.recv(_PIECE)
                if not piece:
                    return
                for message in unpacker.feed(piece):
                    handlers[message["op"]](message)
            while self._later and self._later[0][0] <= time.monotonic():
                heapq.heappop(self._later)[2]()


class Bulk:
    """The answers to one request for several things, which come in any order, from any thread, or never.

    Args:
        size: how many are awaited.
        done: gets all of them, once.
    """

    def __init__(self, size: int, done: Callable[[list[Answer]], None]) -> None:
        self._answers: list[Answer | None] = [None] * size
        self._left = size
        self._done = done
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether nothing is awaited any more."""
        return self._left == 0

    def put(self, index: int, answer: Answer) -> None:
        """Take one answer; a second one for the same thing is dropped."""
        with self._lock:
            if self._left == 0 or self._answers[index] is not None:
                return
            self._answers[index] = answer
            self._left -= 1
            if self._left:
                return
            answers, self._answers = self._answers, []
        self._done([answer for answer in answers if answer is not None])

    def expire(self, message: str) -> None:
        """Answer for whatever is still missing."""
        with self._lock:
            if self._left == 0:
                return
            answers = [{"error": message, "away": True} if answer is None else answer for answer in self._answers]
            self._left, self._answers = 0, []
        self._done(answers)


def bounded(samples: list[Answer]) -> list[Answer]:
    """Return the answers; those for which one message has no room become errors."""
    room = _ROOM
    kept: list[Answer] = []
    for sample in samples:
        size = _bytes(sample.get("value"))
        fits = size <= room
        room -= size if fits else 0
        kept.append(sample if fits else {"error": "too much for one call: read fewer large arrays at once"})
    return kept


def _bytes(value: Any) -> int:
    if isinstance(value, dict):  # a table
        return sum(map(_bytes, cast("dict[str, Any]", value).values()))
    if isinstance(value, list):
        return sum(len(text) for text in cast("list[str]", value))
    return int(getattr(value, "nbytes", 0))


def told(error: BaseException) -> str:
    """Return the words of an error in one line."""
    return str(error).replace("\n", " ").strip() or type(error).__name__


def run(start: Callable[[Requests], None]) -> None:
    """Serve until the stream ends, then leave at once: libraries' own threads may hang in an orderly exit."""
    os.dup2(2, 1)  # nobody reads our standard output
    requests = Requests()
    try:
        start(requests)
    except ModuleNotFoundError as error:
        requests.reply({"ready": False, "missing": str(error.name)})
    sys.stderr.flush()
    os._exit(0)
