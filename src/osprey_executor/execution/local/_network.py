"""How endpoints outside look from inside: where the jail listens for each, and how the code finds their names."""

from __future__ import annotations

from collections.abc import Sequence

from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Endpoint, Gateways

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

    def keep_clear_of(self, gateways: Gateways) -> None:
        """Pass if no endpoint is found where a gateway is.

        Raises:
            ConfigurationError: one is; the message names both.
        """
        for kind in gateways.kinds:
            taken = {(one.address, one.port) for one in kind.places if one.protocol == "tcp"}
            for endpoint, place in zip(self.endpoints, self.places, strict=True):
                if place in taken:
                    raise ConfigurationError(
                        f"execution.network: {endpoint} is where programs find the gateway for {kind.title}: remove "
                        "it, or set control_system.gateways to false, after which programs have no gateways"
                    )

    @property
    def hosts(self) -> str:
        """What `/etc/hosts` says of them."""
        names = {endpoint.host for endpoint in self.endpoints if not endpoint.literal} - {"localhost"}
        return "".join(f"{address} {host}\n" for host, address in self._addresses.items() if host in names)
