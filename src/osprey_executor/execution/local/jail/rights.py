"""Messages that carry descriptors over a socket of packets; without `socket`, whose import every run would pay."""

from __future__ import annotations

import _socket

_MOST = 64
_ANCILLARY = _socket.CMSG_SPACE(_MOST * 4)
_LONGEST = 4096


def line_of(descriptor: int) -> _socket.socket:
    """Return the socket behind a descriptor, which the socket owns from now on."""
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, descriptor)


def pair() -> tuple[_socket.socket, _socket.socket]:
    """Return both ends of a new line."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def send(line: _socket.socket, message: bytes, descriptors: list[int]) -> None:
    """Send one message; the descriptors stay the caller's."""
    packed = b"".join(descriptor.to_bytes(4, "little") for descriptor in descriptors)
    line.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if packed else [])


def receive(line: _socket.socket) -> tuple[bytes, list[int]]:
    """Return one message and its descriptors, all closed at the next exec; an empty message is the end."""
    message, ancillary, _, _ = line.recvmsg(_LONGEST, _ANCILLARY, _socket.MSG_CMSG_CLOEXEC)
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data) - 3, 4)]
    return message, found
