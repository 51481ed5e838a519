"""The program's end of the link: requests with their replies, and frames that want none."""

from __future__ import annotations

import os
import socket
from itertools import count
from threading import Condition, RLock, get_ident
from typing import Any, Iterable

from .errors import ControlSystemError, error_from
from .framing import Blob, Frame, Inbox, Outbox

_LOOK_AGAIN = 500
_MOST_CALL = 16 * 2**20
_HANDED_OVER = "publish"
_getpid = os.getpid


class Channel:
    """One end of the link. Any thread of the process that greets may call it; a forked child may not."""

    def __init__(self, sock: socket.socket) -> None:
        self.pid = 0
        sock.setblocking(True)
        sock.set_inheritable(False)
        self._sock = sock
        self._outbox = Outbox(sock)
        self._inbox = Inbox(sock)
        self._ids = count(1)
        self._turn = Condition(RLock())
        self._reader: int | None = None
        self._replies: dict[int, Frame] = {}

    def greet(self, hello: bytes) -> None:
        """Send the first frame, from the process that the service talks to from now on."""
        self.pid = _getpid()
        self._sock.sendall(hello)

    def mine(self) -> bool:
        """Return whether this process is the one that the service talks to."""
        return _getpid() == self.pid

    def send(self, header: dict[str, Any], blobs: Iterable[Blob] = ()) -> bool:
        """Send one frame that wants no reply; return whether it is out, and not merely queued.

        Raises:
            RuntimeError: called from a forked child.
            ControlSystemError: the service has closed the link.
        """
        if not self.mine():
            raise RuntimeError(
                "osprey_executor.runtime was called in a child process: channels, progress and publish work only in "
                "the program's own process; let the child return its values and make the call there"
            )
        return self._outbox.send(header, blobs)

    def request(self, header: dict[str, Any], blobs: Iterable[Blob] = ()) -> tuple[Any, list[bytes]]:
        """Send a frame, wait for its reply, and return its `ok` and blobs.

        Raises:
            RuntimeError: called from a forked child, or by a signal handler in the middle of another call.
            ControlSystemError: a call other than `publish` has more than 16 MiB of arrays.
            ControlSystemError, WriteRefused, OutcomeUnknownError, ResultsError: as the service answers.
        """
        pieces = list(blobs)
        size = sum(map(len, pieces))
        if header["op"] != _HANDED_OVER and size > _MOST_CALL:
            raise ControlSystemError(
                "a call of {} bytes is too large: at most {} fit; nothing was sent".format(size, _MOST_CALL)
            )
        number = next(self._ids)
        if not self.send({**header, "id": number}, pieces):
            raise RuntimeError("a signal handler called the runtime in the middle of another call of it")
        reply, attached = self._reply(number)
        if "error" in reply:
            raise error_from(reply["error"])
        return reply.get("ok"), attached

    def receive(self) -> Frame:
        """Return the next frame of the service; only before the first request.

        Raises:
            ControlSystemError: the service has closed the link.
        """
        while True:
            found = self._inbox.peek()
            if found is not None:
                self._inbox.drop(found[1])
                return found[0]
            self._inbox.wait(_LOOK_AGAIN)

    def close(self) -> None:
        """Send nothing more; what daemon threads still try to send is refused."""
        self._outbox.close()

    def _reply(self, number: int) -> Frame:
        """Wait for one reply. Whoever waits first reads for all, so that no thread of ours is needed."""
        me = get_ident()
        while True:
            try:
                with self._turn:
                    while number not in self._replies and self._reader not in (None, me):
                        self._turn.wait()
                    if number in self._replies:
                        return self._replies.pop(number)
                    self._reader = me
                self._inbox.wait(_LOOK_AGAIN)
                self._sort()
            finally:
                with self._turn:
                    if self._reader == me:
                        self._reader = None
                        self._turn.notify_all()

    def _sort(self) -> None:
        """Put every reply that has arrived where its caller finds it."""
        while True:
            found = self._inbox.peek()
            if found is None:
                return
            header, blobs = found[0]
            try:
                self._replies[int(header["id"])] = (header, blobs)
            except (KeyError, ValueError):
                raise ControlSystemError("the service sent what is not a reply") from None
            self._inbox.drop(found[1])
