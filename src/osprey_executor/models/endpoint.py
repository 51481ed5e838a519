"""An endpoint that code may be allowed to reach: a host by name or by number, and a TCP port."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


@dataclass(frozen=True)
class Endpoint:
    """Exactly one host and one port."""

    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Return the endpoint written as `name:port`, `10.0.0.5:5432` or `[::1]:9000`.

        Raises:
            ValueError: it is none; the message says what to write.
        """
        if "/" in text:
            raise ValueError("must be host:port alone, without http:// or a path")
        host, colon, port = text.strip().rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65535:
            raise ValueError("must be host:port with a port from 1 to 65535, such as archiver.lab.gov:80 or [::1]:9000")
        if host.startswith("[") and host.endswith("]"):
            return cls(_address(host[1:-1]), int(port))
        if ":" in host:
            raise ValueError("must have an IPv6 address in brackets, such as [::1]:9000")
        return cls(_host(host.lower()), int(port))

    @property
    def literal(self) -> bool:
        """Whether the host is an address, not a name."""
        return _parsed(self.host) is not None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(host: str) -> str:
    if _parsed(host) is not None:
        return _address(host)
    labels = host.split(".")
    if "*" in host:
        raise ValueError("must name one host: there are no wildcards; write each host that programs need")
    if _NUMBER.fullmatch(labels[-1]):
        raise ValueError("must have an IP address in full, all four numbers, such as 10.0.0.5")
    if len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("must have a host of letters, digits, '-' and '.', as it stands in DNS (punycode), or an IP")
    return host


def _address(text: str) -> str:
    address = _parsed(text)
    if address is None or (isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None):
        raise ValueError("must have a complete IP address before the port, without a zone (%)")
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise ValueError("must be the address of one host, not an unspecified, multicast or broadcast address")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise ValueError(f"must be written as the IPv4 address {address.ipv4_mapped}")
    return str(address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
