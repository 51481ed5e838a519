"""Messages of PVAccess, as far as the gateway looks into them. What it does not know it does not pass on.

Source: https://docs.epics-controls.org/projects/pvxs-cms/en/latest/protocol.html and the pvAccess Protocol
Specification, https://docs.epics-controls.org/en/latest/pv-access/protocol.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

INIT, GET = 0x08, 0x40
"""Of a subcommand: make the operation ready; read, where the command would not."""

HEAD = 8
"""Bytes before the payload: magic number, version, flags, command, size of the payload."""
MAGIC = 0xCA
CONTROL, SEGMENT, FROM_SERVER, BIG = 0x01, 0x30, 0x40, 0x80
"""Of the flags: about the stream itself; which part of a message; who speaks; order of the bytes of numbers."""

_MOST_NAMES = 10_000
"""Of channels, in one message."""
_NO_CHANNEL = 0xFFFFFFFF
_OK = 0xFF
_ERROR, _FATAL = 2, 3


class Malformed(ValueError):
    """What no client of PVAccess sends; nothing after it can be trusted."""


class Command(IntEnum):
    """What an application message is about."""

    CONNECTION_VALIDATION = 0x01
    ECHO = 0x02
    SEARCH = 0x03
    AUTHNZ = 0x05
    CREATE_CHANNEL = 0x07
    DESTROY_CHANNEL = 0x08
    GET = 0x0A
    PUT = 0x0B
    PUT_GET = 0x0C
    MONITOR = 0x0D
    ARRAY = 0x0E
    DESTROY_REQUEST = 0x0F
    PROCESS = 0x10
    GET_FIELD = 0x11
    MESSAGE = 0x12
    RPC = 0x14
    CANCEL_REQUEST = 0x15


@dataclass(frozen=True, slots=True)
class Message:
    """One application message, its segments put together."""

    command: Command
    payload: bytes
    big: bool
    """Whether its numbers are big-endian."""
    version: int = 2
    missing: int = 0
    """Bytes of the payload that were too many to be taken."""

    @property
    def raw(self) -> bytes:
        """The message as it goes to the server."""
        order = ">" if self.big else "<"
        flags = BIG if self.big else 0
        head = struct.pack(f"{order}BBBBI", MAGIC, self.version, flags, self.command, len(self.payload))
        return head + self.payload

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Return the numbers with which it begins, by the letters of `struct`.

        Raises:
            Malformed: it is shorter.
        """
        try:
            return struct.unpack_from((">" if self.big else "<") + layout, self.payload)
        except struct.error:
            raise Malformed(f"a {self.command.name} of {len(self.payload)} bytes") from None


def names_of(message: Message) -> list[tuple[int, bytes]]:
    """Return the number that the client gives to each channel that it asks for, and its name.

    Raises:
        Malformed: they are cut off, or too many.
    """
    (count,) = message.numbers("H")
    if count > _MOST_NAMES:
        raise Malformed(f"{count} channels in one message")
    order = "big" if message.big else "little"
    payload, at = message.payload, 2
    names: list[tuple[int, bytes]] = []
    for _ in range(count):
        cid = int.from_bytes(payload[at : at + 4], order)
        size = payload[at + 4] if len(payload) > at + 4 else -1
        at += 5
        if size == 0xFE:
            size = int.from_bytes(payload[at : at + 4], order, signed=True)
            at += 4
        name = payload[at : at + size]
        if size < 0 or size == 0xFF or len(name) < size:
            raise Malformed("a channel without a name")
        names.append((cid, name))
        at += size
    return names


def ask_for_channel(cid: int, name: bytes, big: bool) -> bytes:
    """Return the message that asks for one channel, whose name is short."""
    order = ">" if big else "<"
    return Message(Command.CREATE_CHANNEL, struct.pack(f"{order}HIB", 1, cid, len(name)) + name, big).raw


def no_channel(cid: int, words: str, big: bool) -> bytes:
    """Return the server's answer that there is no such channel."""
    numbers = struct.pack(">II" if big else "<II", cid, _NO_CHANNEL)
    return _from_server(Command.CREATE_CHANNEL, numbers + _status(_FATAL, words, big), big)


def failure(command: Command, ioid: int, subcommand: int | None, words: str, big: bool) -> bytes:
    """Return the server's answer that an operation failed; `GET_FIELD` has no subcommand."""
    head = ioid.to_bytes(4, "big" if big else "little") + (b"" if subcommand is None else bytes([subcommand]))
    return _from_server(command, head + _status(_ERROR, words, big), big)


def succeeded(message: Message, at: int) -> bool:
    """Return whether the status at this place of an answer says that it went well; a warning does."""
    return len(message.payload) > at and message.payload[at] in (_OK, 0, 1)


def _status(kind: int, words: str, big: bool) -> bytes:
    return bytes([kind]) + _text(words, big) + _text("", big)


def _text(words: str, big: bool) -> bytes:
    encoded = words.encode(errors="replace")
    size = (
        bytes([len(encoded)]) if len(encoded) < 0xFE else b"\xfe" + len(encoded).to_bytes(4, "big" if big else "little")
    )
    return size + encoded


def _from_server(command: Command, payload: bytes, big: bool) -> bytes:
    flags = FROM_SERVER | (BIG if big else 0)
    return struct.pack(">BBBBI" if big else "<BBBBI", MAGIC, 2, flags, command, len(payload)) + payload
