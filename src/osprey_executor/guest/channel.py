"""Frames on the socket that the service left open for the program's process.

Frame: 4 bytes length of the header, 4 bytes number of blobs, 8 bytes length of each blob, all big-endian; then the
header (one JSON object in ASCII), then the blobs.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from itertools import count
from json import JSONDecoder, JSONEncoder
from struct import Struct
from threading import Condition, RLock
from typing import Any, Dict, Iterable, List, Tuple, Union

from .errors import ControlSystemError, error_from

Blob = Union[bytes, bytearray, memoryview]
Frame = Tuple[Dict[str, Any], List[bytes]]

_PREFIX = Struct(">II")
_LENGTH = Struct(">Q")
_PIECE = 1 << 20
# Taken here, so that a program which rebinds names of these modules does not break us.
_to_json = JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_from_json = JSONDecoder().decode
_getpid = os.getpid


class Channel:
    """One end of the link. Any thread may call it; a forked child may not.

    An exception from a signal handler in the middle of a call leaves the stream in step: what was not sent yet goes
    out before the next frame, what was read stays in the buffer.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.pid = _getpid()
        sock.setblocking(True)
        sock.set_inheritable(False)
        self._sock = sock
        self._sending = RLock()
        self._outbox: deque[memoryview] = deque()
        self._inbox = bytearray()
        self._ids = count(1)
        self._turn = Condition(RLock())
        self._reading = False
        self._replies: dict[int, Frame] = {}
        self._closed = False

    def mine(self) -> bool:
        """Return whether this process is the one that the service talks to."""
        return _getpid() == self.pid

    def send(self, header: dict[str, Any], blobs: Iterable[Blob] = ()) -> None:
        """Send one frame.

        Raises:
            RuntimeError: called from a forked child.
            ControlSystemError: the service has closed the link.
        """
        self._check()
        pieces = [memoryview(blob).cast("B") if len(blob) else memoryview(b"") for blob in blobs]
        text = _to_json(header).encode("ascii")
        start = _PREFIX.pack(len(text), len(pieces)) + b"".join(_LENGTH.pack(len(piece)) for piece in pieces) + text
        with self._sending:
            if self._closed:
                raise ControlSystemError("the program has ended; the service takes nothing more from it")
            self._outbox.append(memoryview(start))
            self._outbox.extend(piece for piece in pieces if len(piece))
            self._flush()

    def close(self) -> None:
        """Take nothing more; what daemon threads still try to send is refused."""
        with self._sending:
            self._closed = True

    def request(self, header: dict[str, Any], blobs: Iterable[Blob] = ()) -> tuple[Any, list[bytes]]:
        """Send a frame, wait for its reply, and return its `ok` and blobs.

        Raises:
            RuntimeError: called from a forked child.
            ControlSystemError, WriteRefused, OutcomeUnknownError, ResultsError: as the service answers.
        """
        number = next(self._ids)
        self.send({**header, "id": number}, blobs)
        reply, attached = self._reply(number)
        if "error" in reply:
            raise error_from(reply["error"])
        return reply.get("ok"), attached

    def receive(self) -> Frame:
        """Return the next frame of the service.

        Raises:
            ControlSystemError: the service has closed the link.
        """
        self._fill(_PREFIX.size)
        size, number = _PREFIX.unpack_from(self._inbox)
        start = _PREFIX.size + number * _LENGTH.size
        self._fill(start + size)
        lengths = [_LENGTH.unpack_from(self._inbox, _PREFIX.size + i * _LENGTH.size)[0] for i in range(number)]
        end = start + size + sum(lengths)
        self._fill(end)
        header = _from_json(bytes(self._inbox[start : start + size]).decode("utf-8"))
        blobs: list[bytes] = []
        at = start + size
        for length in lengths:
            blobs.append(bytes(self._inbox[at : at + length]))
            at += length
        del self._inbox[:end]
        return header, blobs

    def _check(self) -> None:
        if not self.mine():
            raise RuntimeError(
                "osprey_executor.runtime was called in a child process: channels, progress and publish work only in "
                "the program's own process; let the child return its values and make the call there"
            )

    def _flush(self) -> None:
        while self._outbox:
            piece = self._outbox[0]
            try:
                sent = self._sock.send(piece[:_PIECE])
            except OSError as error:
                self._outbox.clear()
                self._closed = True
                raise ControlSystemError("the service no longer listens: {}".format(error)) from None
            if sent == len(piece):
                self._outbox.popleft()
            else:
                self._outbox[0] = piece[sent:]

    def _fill(self, size: int) -> None:
        while len(self._inbox) < size:
            try:
                piece = self._sock.recv(min(_PIECE, size - len(self._inbox)))
            except OSError as error:
                raise ControlSystemError("the service no longer answers: {}".format(error)) from None
            if not piece:
                raise ControlSystemError("the service has closed the link: the run is being ended")
            self._inbox += piece

    def _reply(self, number: int) -> Frame:
        """Wait for one reply. Whoever waits first reads for all, so that no thread of ours is needed."""
        while True:
            with self._turn:
                while number not in self._replies and self._reading:
                    self._turn.wait()
                if number in self._replies:
                    return self._replies.pop(number)
                self._reading = True
            try:
                header, blobs = self.receive()
                with self._turn:
                    self._replies[int(header["id"])] = (header, blobs)
            finally:
                with self._turn:
                    self._reading = False
                    self._turn.notify_all()
