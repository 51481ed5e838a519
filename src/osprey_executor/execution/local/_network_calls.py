"""What calls of the network may not ask for, even where a hole in the kernel gave a program the power over its network.

Nobody without that power may do any of it, and programs need none of it: the wall is doubled, as these parts of the
kernel have often had holes.
"""

from __future__ import annotations

import socket

SOCK_PACKET = 10
REFUSED_TYPES = (socket.SOCK_RAW, SOCK_PACKET)
"""Of IPv4 and IPv6 sockets: whole packets, of any protocol. The second is AF_PACKET by an old name."""
TYPE_MASK = 0xF
"""Above it stand SOCK_CLOEXEC and SOCK_NONBLOCK (linux/net.h: SOCK_TYPE_MASK)."""

REFUSED_REQUESTS = (
    *(0x890B, 0x890C, 0x8911, 0x8914, 0x8916, 0x8918, 0x891A, 0x891C, 0x891E, 0x8920, 0x8922, 0x8923, 0x8924, 0x8926),
    *(0x8930, 0x8931, 0x8932, 0x8934, 0x8936, 0x8937, 0x8941, 0x8943, 0x8946, 0x8949, 0x8953, 0x8955, 0x8960, 0x8962),
    *(0x8971, 0x8980, 0x8981, 0x8983),
)
"""SIOCADDRT, SIOCDELRT, SIOCSIF..., SIOCADDMULTI, SIOCDELMULTI, SIOCETHTOOL, SIOC[DS][R]ARP, ... (linux/sockios.h)."""
REFUSED_BLOCKS = ((0xFFFFFFF0, 0x8990), (0xFFFFFFE0, 0x89A0), (0xFFFFFFE0, 0x89E0))
"""(mask, value): of bonds; of bridges and time stamps; private to a protocol or device, as those of tunnels."""

INTERFACES = (0xFFFFFFC0, 0x8900)
"""(mask, value): what tells of interfaces, SIOCGIF...: the socket to the service belongs to the host's network."""
DEVICE_OPTIONS = (25, 62, 77)
"""SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_PEERPIDFD: they tell of the host through that socket, too."""
GROUPS = (35, 39, *range(42, 49))
GROUPS_IPV6 = (20, *range(42, 49))
"""Options that join multicast groups: the kernel goes on sending for them when the run has ended."""

NETFILTER = 64
"""Options of IPv4 sockets from here on are netfilter's and its kin's, to read and to set (linux/netfilter_ipv4/)."""
NETFILTER_IPV6 = (64, 65, 68, 69)
"""Those of IPv6; between and after them are ordinary ones up to IPV6_FREEBIND, 78 (linux/in6.h)."""
NETFILTER_IPV6_REST = 80
