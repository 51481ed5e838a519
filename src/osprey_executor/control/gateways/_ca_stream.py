"""Commands of one client, by caproto's framing, each handed on before the next one is looked at."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from typing import Any

ca: Any = import_module("caproto")
_commands: Any = import_module("caproto._commands")

_LARGEST = 17 * 2**20
"""Bytes of one command: the largest array that the broker takes, and a little."""
_HEAD = struct.Struct(">HHHHII")


class Hostile(Exception):
    """A command that no client sends."""


class Stream:
    """Makes commands of the pieces of a stream."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Yield each command that is complete with this piece.

        Raises:
            Exception: whatever caproto's structures raise for one that they cannot hold; nothing after it is taken.
        """
        self._data += piece
        while True:
            self._data, command, needed = _commands.read_from_bytestream(self._data, ca.CLIENT)
            if needed > _LARGEST:
                raise Hostile
            if needed:
                return
            yield command

    def refused(self) -> tuple[int, int, int]:
        """Return command, DBR type and channel of what could not be taken."""
        if len(self._data) < _HEAD.size:
            return -1, 0, 0
        command, _, kind, _, sid, _ = _HEAD.unpack_from(self._data)
        return command, kind, sid
