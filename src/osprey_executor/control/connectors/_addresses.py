"""Addresses of control systems, as the configuration names them."""

from __future__ import annotations

from collections.abc import Sequence

from osprey_executor.errors import ConfigurationError

UNANSWERED = "127.0.0.1:9"
"""The discard port. With an empty address list some clients broadcast; with this one nobody is asked by UDP."""


def checked(section: str, port: str, address_list: Sequence[str], name_servers: Sequence[str]) -> tuple[str, ...]:
    """Return both lists together.

    Raises:
        ConfigurationError: there is no address, or one is none.
    """
    addresses = (*address_list, *name_servers)
    for address in addresses:
        if not address.strip() or any(char.isspace() for char in address):
            raise ConfigurationError(f"{address!r} is not an address: give host or host:port")
    if not addresses:
        raise ConfigurationError(
            f"control_system.{section}.address_list is empty: name the hosts that are to be asked for channels, "
            f'for example ["127.0.0.1:{port}"]'
        )
    return addresses
