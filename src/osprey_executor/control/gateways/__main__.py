"""The program of a gateway, in a jail of its own: `python -m osprey_executor.control.gateways KIND`.

Descriptor 3 is a socket to the service. It first brings one byte with the listening sockets of the run, and is the
link to the run's session from then on. What this process needs is imported before that: it may wait, ready, for a run.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

_LINK = 3
_MOST_DOORS = 16
_MODULES = {"ca": "_ca_gateway", "pva": "_pva_gateway"}
_EXTRAS = {"ca": "epics", "pva": "pva"}

Serve = Callable[[socket.socket, Sequence[socket.socket]], None]
"""Each kind's `serve(link, doors)`, which returns when the broker is gone or the program has ended."""


def main(kind: str) -> None:
    """Get ready, wait for the sockets, and serve."""
    try:
        serve: Serve = import_module(f"{__package__}.{_MODULES[kind]}").serve
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed: pip install 'osprey-executor[{_EXTRAS[kind]}]'")
    link = socket.socket(fileno=_LINK)
    byte, doors, _, _ = socket.recv_fds(link, 1, _MOST_DOORS, socket.MSG_CMSG_CLOEXEC)
    if byte:
        serve(link, [socket.socket(fileno=door) for door in doors])


if __name__ == "__main__":
    main(sys.argv[1])
