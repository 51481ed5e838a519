"""Gateways: addresses on a program's own loopback, behind which a process of their own asks the run's broker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from osprey_executor.models.control import ControlSession


@dataclass(frozen=True)
class Place:
    """Where programs find a gateway."""

    port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Gateway:
    """One protocol that programs may speak."""

    kind: str
    """Its name for the gateway's program."""
    title: str
    """As people call it."""
    places: tuple[Place, ...]
    environment: Mapping[str, str]
    """What tells the libraries of the protocol where to look."""


@dataclass(frozen=True)
class Gateways:
    """All that programs may speak, and who answers."""

    module: str
    """Run as `python -m MODULE KIND` in a jail: its descriptor 3 is a stream socket, over which it first gets one byte
    with the listening sockets, in the order of the places, and then speaks with `serve`."""
    kinds: tuple[Gateway, ...]
    serve: Callable[[ControlSession, socket.socket, asyncio.Event], Awaitable[str | None]]
    """Answers a gateway from the session of its run until its end of the link closes or says something that it must
    not; returns what that was. The socket is its own. When the event is set, the program has ended: then a gateway
    passes on what the program had sent, and ends."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place, in the order of `kinds`."""
        return tuple(place for kind in self.kinds for place in kind.places)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of all kinds together."""
        return {name: value for kind in self.kinds for name, value in kind.environment.items()}
