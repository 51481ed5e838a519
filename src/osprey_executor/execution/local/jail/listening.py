"""Listening sockets in the jail's own network namespace, made by the monitor and served by the service outside.

They are the only way out of a jail: the code can connect to them, and what answers is not in the jail.
"""

from __future__ import annotations

import _socket
import os
import struct

from . import rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Place

BACKLOG = 16
"""Connections that may wait for the service at each socket; those beyond wait in the code's own `connect`."""

_RTM_NEWADDR, _NLMSG_ERROR = 20, 2
_REQUEST = 0x1 | 0x4 | 0x400
"""NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE."""
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 2
_HEAD = struct.Struct("=IHHII BBBBI")
"""Of a netlink message about an address (linux/netlink.h, linux/if_addr.h)."""
_ANSWER = struct.Struct("=IHHII i")


def hand_out(line: _socket.socket, word: str, places: list[Place]) -> None:
    """Listen at each place and send the sockets to the service, in order, with `word`. This process keeps no socket."""
    if places:
        sockets = listen_at(places)
        send_out(line, word, sockets)
        for made in sockets:
            made.close()


def send_out(line: _socket.socket, word: str, sockets: list[_socket.socket]) -> None:
    """Send sockets to the service; they stay the caller's."""
    rights.send(line, word.encode(), [made.fileno() for made in sockets])


def listen_at(places: list[Place]) -> list[_socket.socket]:
    """Return sockets that listen at these places of this network namespace.

    Addresses that `lo` lacks are given to it, so that the code reaches them unchanged. That needs CAP_NET_ADMIN over
    the namespace, and ports below 1024 need CAP_NET_BIND_SERVICE.
    """
    sockets: list[_socket.socket] = []
    added: set[str] = set()
    for address, port, protocol in places:
        try:
            if address not in added and address != "::1" and not address.startswith("127."):
                _add_to_loopback(address)
            added.add(address)
            sockets.append(_listen(address, port, protocol))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"listen on {address} port {port}") from None
    return sockets


def _listen(address: str, port: int, protocol: str) -> _socket.socket:
    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    made = _socket.socket(_family(address), kind | _socket.SOCK_CLOEXEC, 0)
    made.bind((address, port))
    if protocol == "tcp":
        made.listen(BACKLOG)
    return made


def _family(address: str) -> int:
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def _add_to_loopback(address: str) -> None:
    family = _family(address)
    packed = _socket.inet_pton(family, address)
    attributes = b"".join(struct.pack("=HH", 4 + len(packed), kind) + packed for kind in (_IFA_LOCAL, _IFA_ADDRESS))
    about = (family, 8 * len(packed), _IFA_F_NODAD, 0, _socket.if_nametoindex("lo"))
    line = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    try:
        line.send(_HEAD.pack(_HEAD.size + len(attributes), _RTM_NEWADDR, _REQUEST, 1, 0, *about) + attributes)
        _, kind, _, _, _, error = _ANSWER.unpack_from(line.recv(4096))
    finally:
        line.close()
    if kind != _NLMSG_ERROR or error:  # an error of 0 says that it is done
        raise OSError(-error, os.strerror(-error))
