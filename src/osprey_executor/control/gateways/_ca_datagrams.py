"""Writes by datagram, which no server of Channel Access does: found, so that somebody hears of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEAD = struct.Struct(">HHHHII")
_WRITE, _SEARCH, _CREATE, _WRITE_NOTIFY = 4, 6, 18, 19
"""Source: https://docs.epics-controls.org/en/latest/internal/ca_protocol.html"""


def writes_in(datagram: bytes) -> Iterator[tuple[str, int]]:
    """Yield for each write its number, and the channel that was named before it in the datagram; empty: none was."""
    at, name = 0, ""
    while at + _HEAD.size <= len(datagram):
        command, size, _, _, number, _ = _HEAD.unpack_from(datagram, at)
        at += _HEAD.size
        if command in (_SEARCH, _CREATE):
            name = datagram[at : at + size].partition(b"\0")[0].decode("ascii", errors="replace")
        elif command in (_WRITE, _WRITE_NOTIFY):
            yield name, number
        at += size
