"""How endpoints outside look from inside: where the jail listens for each, and how the code finds their names."""

from __future__ import annotations

from collections.abc import Sequence

from osprey_executor.models import Endpoint

_NAMED = "127.77.0.{}"
"""Addresses of the jail's loopback that stand for names, so that two hosts can have the same port."""


class Network:
    """The endpoints that code may reach. None: it has no network."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """Take endpoints as the configuration has them."""
        self.endpoints = tuple(map(Endpoint.parse, allowed))
        taken = {endpoint.host for endpoint in self.endpoints if endpoint.literal}
        free = (address for address in map(_NAMED.format, range(1, 255)) if address not in taken)
        self._addresses = {"localhost": "127.0.0.1"}
        for endpoint in self.endpoints:
            if endpoint.host not in self._addresses:
                self._addresses[endpoint.host] = endpoint.host if endpoint.literal else next(free)

    @property
    def places(self) -> list[tuple[str, int]]:
        """Where the jail listens, one (address, port) for each endpoint."""
        return [(self._addresses[endpoint.host], endpoint.port) for endpoint in self.endpoints]

    @property
    def hosts(self) -> str:
        """What `/etc/hosts` says of them."""
        names = {endpoint.host for endpoint in self.endpoints if not endpoint.literal} - {"localhost"}
        return "".join(f"{address} {host}\n" for host, address in self._addresses.items() if host in names)
