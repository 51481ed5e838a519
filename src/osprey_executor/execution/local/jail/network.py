"""The loopback of a network namespace: the only network that the code has."""

# pathlib costs an import, which every server would pay.
# ruff: noqa: PTH110

from __future__ import annotations

import _socket
import fcntl
import os
import struct

from . import kernel, listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Place

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_MOST_FREE = 8
_TRACES, _TRACES_6 = ("dev", "snmp", "netstat", "unix"), ("snmp6", "ip6_flowlabel")
"""What tells below /proc/self/net that anybody sent, bound or left something: all packets cross `lo`, which counts."""
_SOCKETS = "sockstat"
"""Its first line tells how many sockets there are, also those that are bound only or on their way to another process;
the others are of the whole machine."""
_MOST_TOLD = 1 << 16


def raise_loopback() -> None:
    """Bring up `lo`; programs that talk to themselves need it. Needs a network namespace of one's own."""
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
    try:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe.fileno(), _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
    finally:
        probe.close()


class Network:
    """A network namespace that belongs to the user namespace of this process: nobody in a jail has power over it."""

    def __init__(self, places: list[Place]) -> None:
        """Make it, listen at these places, and move this process into it."""
        kernel.unshare(kernel.CLONE_NEWNET)
        raise_loopback()
        self.listening = listening.listen_at(places)
        """For one run after the other: whoever reached one of them left a trace."""
        self._itself = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._sockets = os.open(f"/proc/self/net/{_SOCKETS}", os.O_RDONLY | os.O_CLOEXEC)
        there = (*_TRACES, *(name for name in _TRACES_6 if os.path.exists(f"/proc/self/net/{name}")))
        self._traces = [os.open(f"/proc/self/net/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in there]
        self._new = self._told()

    def enter(self) -> None:
        """Move this process into it."""
        kernel.join(self._itself, kernel.CLONE_NEWNET)

    def is_new(self) -> bool:
        """Whether it tells the same as when it was made."""
        return self._told() == self._new

    def close(self) -> None:
        """Let go of it."""
        for descriptor in (self._itself, self._sockets, *self._traces):
            os.close(descriptor)
        for made in self.listening:
            made.close()

    def _told(self) -> list[bytes]:
        sockets = os.pread(self._sockets, _MOST_TOLD, 0).partition(b"\n")[0]
        return [sockets, *(os.pread(trace, _MOST_TOLD, 0) for trace in self._traces)]


class Networks:
    """Networks for jails. One that its run left as it was when it was new is given to another run.

    To make one and to take it down costs the machine more than a process does.
    """

    def __init__(self, places: list[Place]) -> None:
        """Move this process into one of its own: it could not come back to one that others made.

        Args:
            places: where each network listens.
        """
        self._home = Network([])
        self._places = places
        self._free: list[Network] = []

    def enter(self) -> Network:
        """Move this process into one that nobody uses. Ends with `leave`."""
        if not self._free:
            return Network(self._places)
        network = self._free.pop()
        network.enter()
        return network

    def leave(self) -> None:
        """Move this process back to where it belongs."""
        self._home.enter()

    def give_back(self, network: Network) -> None:
        """Take one in which no process is left."""
        if len(self._free) < _MOST_FREE and network.is_new():
            self._free.append(network)
        else:
            network.close()
