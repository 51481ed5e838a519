"""Streams of PVAccess: that of a client made into messages, and that of the server followed, which passes as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from osprey_executor.control.gateways._pva_wire import (
    BIG,
    CONTROL,
    FROM_SERVER,
    HEAD,
    INIT,
    MAGIC,
    SEGMENT,
    Command,
    Malformed,
    Message,
)

LARGEST = 16 * 2**20
"""Bytes of one message of a client that are taken."""
_BEGINNING = 16
"""Bytes of a larger one, which say what it is about."""
_LONGEST_ANSWER = 2**16
"""Of those messages of the server that are looked into."""
_LAST, _MIDDLE = 0x20, 0x30
_OPERATION = 5
"""Bytes with which the answer to an operation begins: its number, and what was asked."""
_OPERATIONS = {Command.GET, Command.PUT, Command.MONITOR, Command.RPC}
_COMMANDS = {command.value: command for command in Command}


class FromClient:
    """Makes messages of the pieces that a client sends. Control messages say nothing that a server heeds."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._segments = bytearray()
        self._expected: int | None = None
        """The command of which another segment must come."""
        self._skip = 0
        """Bytes that nobody takes."""

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Yield each message that is complete with this piece; of one that is too large, its beginning.

        Raises:
            Malformed: it is none, or segments of one that is too large.
        """
        kept = self._kept
        kept += piece
        self._leave_out()
        while len(kept) >= HEAD:
            magic, version, flags, command = kept[:4]
            if magic != MAGIC or not version or flags & FROM_SERVER:
                raise Malformed(f"no head of a message: {bytes(kept[:HEAD]).hex()}")
            if flags & CONTROL:
                del kept[:HEAD]
                continue
            big = bool(flags & BIG)
            size = int.from_bytes(kept[4:HEAD], "big" if big else "little")
            if size + len(self._segments) > LARGEST:
                if flags & SEGMENT or self._segments or command not in _COMMANDS:
                    raise Malformed(f"a message of {size} bytes")
                if len(kept) < HEAD + _BEGINNING:
                    return
                beginning = bytes(kept[HEAD : HEAD + _BEGINNING])
                self._skip = HEAD + size
                self._leave_out()
                yield Message(_COMMANDS[command], beginning, big, version, missing=size - _BEGINNING)
                continue
            if len(kept) < HEAD + size:
                return
            payload = bytes(kept[HEAD : HEAD + size])
            del kept[: HEAD + size]
            whole = self._joined(command, flags & SEGMENT, payload)
            if whole is not None:
                if command not in _COMMANDS:
                    raise Malformed(f"a command {command:#x}")
                yield Message(_COMMANDS[command], whole, big, version)

    def _leave_out(self) -> None:
        left_out = min(self._skip, len(self._kept))
        del self._kept[:left_out]
        self._skip -= left_out

    def _joined(self, command: int, segment: int, payload: bytes) -> bytes | None:
        goes_on = segment in (_MIDDLE, _LAST)
        if (self._expected is not None) != goes_on or (goes_on and command != self._expected):
            raise Malformed("segments in disorder")
        if not segment:
            return payload
        self._segments += payload
        if segment != _LAST:
            self._expected = command
            return None
        whole = bytes(self._segments)
        self._segments.clear()
        self._expected = None
        return whole


class FromServer:
    """Follows the stream of the server: where messages end, and what it says of channels."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._kept: bytearray | None = None
        self._most = 0
        """Bytes of the message that are kept."""
        self.awaited: dict[int, asyncio.Event] = {}
        """Operations that the server makes ready now: each is told when it has answered that it is."""
        self.big = False
        """Whether its numbers are big-endian."""

    @property
    def between(self) -> bool:
        """Whether the stream so far ends where a message ends."""
        return not self._head

    def feed(self, piece: bytes) -> tuple[int, list[Message]]:
        """Return up to where whole messages reach in `piece`, and those among them that are about channels.

        Raises:
            Malformed: it is not the stream of a server.
        """
        at = reach = 0
        found: list[Message] = []
        while at < len(piece):
            if (missing := HEAD - len(self._head)) > 0:
                self._head += piece[at : at + missing]
                at = min(at + missing, len(piece))
                if len(self._head) < HEAD:
                    break
                self._begin()
            taken = min(self._left, len(piece) - at)
            if self._kept is not None and (room := self._most - len(self._kept)) > 0:
                self._kept += piece[at : at + min(taken, room)]
            at += taken
            self._left -= taken
            if not self._left:
                if self._kept is not None:
                    answer = Message(_COMMANDS[self._head[3]], bytes(self._kept), self.big)
                    if answer.command in _OPERATIONS:
                        self._tell(answer)
                    else:
                        found.append(answer)
                self._head.clear()
                reach = at
        return reach, found

    def _begin(self) -> None:
        magic, _, flags, command = self._head[:4]
        if magic != MAGIC:
            raise Malformed("no head of a message")
        self.big = bool(flags & BIG)
        size = int.from_bytes(self._head[4:], "big" if self.big else "little")
        self._left = 0 if flags & CONTROL else size
        about_channels = not flags & CONTROL and command in (Command.CREATE_CHANNEL, Command.DESTROY_CHANNEL)
        if about_channels and size > _LONGEST_ANSWER:
            raise Malformed(f"an answer of {size} bytes")
        # Values come by the thousand, so they are looked at only while somebody waits.
        operation = self.awaited and not flags & CONTROL and command in _OPERATIONS
        self._kept = bytearray() if about_channels or operation else None
        self._most = _OPERATION if operation else size

    def _tell(self, answer: Message) -> None:
        ioid, subcommand = answer.numbers("IB")
        if subcommand & INIT and (ready := self.awaited.get(ioid)) is not None:
            ready.set()
