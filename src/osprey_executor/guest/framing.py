"""The two directions of the socket, in step whatever a signal handler of the program raises, and wherever.

Python runs signal handlers between two calls. What must not be torn apart is therefore one call:
`extend(map(recv, ...))` receives and keeps, `extend(map(send, ...))` sends and counts; no handler runs in between.

Frame: 4 bytes length of the header, 4 bytes number of blobs, 8 bytes length of each blob, all big-endian; then the
header (one JSON object in ASCII), then the blobs.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from json import JSONDecoder, JSONEncoder
from struct import Struct
from threading import RLock
from typing import Any, Dict, Iterable, List, Sequence, Tuple, Union

from .errors import ControlSystemError

Blob = Union[bytes, bytearray, memoryview]
Frame = Tuple[Dict[str, Any], List[bytes]]

_PREFIX = Struct(">II")
_LENGTH = Struct(">Q")
_PIECE = 1 << 20
_PIECE_IN = 1 << 16
"""The room for a larger one is memory of its own from the kernel."""
# Taken here, so that a program which rebinds names of these modules does not break us.
_to_json = JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_from_json = JSONDecoder().decode


def start_of(header: dict[str, Any], sizes: Sequence[int]) -> bytes:
    """Return what stands before the blobs of a frame; `sizes` are theirs, in bytes."""
    text = _to_json(header).encode("ascii")
    return _PREFIX.pack(len(text), len(sizes)) + b"".join([_LENGTH.pack(size) for size in sizes]) + text


class Outbox:
    """Frames on their way out. A call from a handler in the middle of another one is queued behind it."""

    def __init__(self, sock: socket.socket) -> None:
        self._send = sock.send
        self._lock = RLock()
        self._pieces: deque[tuple[memoryview, deque[int]]] = deque()
        self._flushing = self._closed = False

    def send(self, header: dict[str, Any], blobs: Iterable[Blob] = ()) -> bool:
        """Send one frame; return whether it is out, and not merely queued behind one that is under way.

        Raises:
            ControlSystemError: the service has closed the link, or the program has ended.
        """
        pieces = [memoryview(blob).cast("B") for blob in blobs if len(blob)]
        sizes = [len(blob) for blob in blobs]
        start = start_of(header, sizes)
        with self._lock:
            if self._closed:
                raise ControlSystemError("the program has ended; the service takes nothing more from it")
            self._pieces.extend([(piece, deque()) for piece in (memoryview(start), *pieces)])
            if self._flushing:
                return False
            try:
                self._flushing = True
                self._flush()
            except OSError as error:
                self._closed = True
                raise ControlSystemError("the service no longer listens: {}".format(error)) from None
            finally:
                self._flushing = False
        return True

    def close(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._closed = True

    def _flush(self) -> None:
        while self._pieces:
            piece, counts = self._pieces[0]
            done = sum(counts)
            if done >= len(piece):
                self._pieces.popleft()
            else:
                counts.extend(map(self._send, (piece[done : done + _PIECE],)))


class _Arrived:
    """What has been received and not been taken: pieces, and how many bytes the frame at their front needs at least."""

    def __init__(self, rest: bytes = b"") -> None:
        self.pieces: deque[bytes] = deque([rest])
        self.need = _PREFIX.size


class Inbox:
    """Frames on their way in."""

    def __init__(self, sock: socket.socket) -> None:
        self._receive = sock.recv
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._lock = RLock()
        self._arrived = _Arrived()

    def wait(self, milliseconds: int) -> None:
        """Receive what is there, after waiting at most so long for it.

        Raises:
            ControlSystemError: the service has closed the link.
        """
        with self._lock:
            arrived = self._arrived
            try:
                if not self._poll.poll(milliseconds):
                    return
                arrived.pieces.extend(map(self._receive, (_PIECE_IN,), (socket.MSG_DONTWAIT,)))
            except BlockingIOError:
                return
            except OSError as error:
                raise ControlSystemError("the service no longer answers: {}".format(error)) from None
            if not arrived.pieces[-1]:
                raise ControlSystemError("the service has closed the link: the run is being ended")

    def peek(self) -> tuple[Frame, Any] | None:
        """Return the frame at the front and what `drop` wants to drop it, or None where it is not all there."""
        arrived = self._arrived
        if sum(map(len, arrived.pieces)) < arrived.need:
            return None
        data = b"".join(arrived.pieces)
        size, number = _PREFIX.unpack_from(data)
        start = _PREFIX.size + number * _LENGTH.size
        there = number and len(data) >= start
        lengths = Struct(">{}Q".format(number)).unpack_from(data, _PREFIX.size) if there else ()
        arrived.need = start + size + sum(lengths)
        if len(data) < arrived.need:
            return None
        at = start + size
        header = _from_json(data[start:at].decode("utf-8"))
        blobs: list[bytes] = []
        for length in lengths:
            blobs.append(data[at : at + length])
            at += length
        return (header, blobs), _Arrived(data[at:])

    def drop(self, rest: Any) -> None:
        """Forget the frame that `peek` returned."""
        self._arrived = rest
