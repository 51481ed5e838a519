"""Which gateways there are, and where programs find them."""

from __future__ import annotations

import struct

from osprey_executor.config import ControlSystemConfig
from osprey_executor.control.gateways._answers import serve_link
from osprey_executor.models import Gateway, Gateways, Place

_CA_PORT, _CA_REPEATER_PORT, _PVA_PORT = 5064, 5065, 5075

CHANNEL_ACCESS = Gateway(
    "ca",
    "Channel Access",
    # libca and caproto start a daemon unless somebody is at the port of the beacon repeater.
    (Place(_CA_PORT), Place(_CA_PORT, "udp"), Place(_CA_REPEATER_PORT, "udp")),
    {
        # No EPICS_CA_NAME_SERVERS: at its end libca waits for ever for a name server that it was never asked to use.
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
    },
)
PV_ACCESS = Gateway(
    "pva",
    "PVAccess",
    (Place(_PVA_PORT),),
    {
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{_PVA_PORT}",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        # That there are no interfaces to list and no groups to join is no news in a sandbox.
        "PVXS_LOG": "pvxs.iface=CRIT,pvxs.loop=CRIT",
    },
)
_ALL = Gateways(f"{__package__}", (CHANNEL_ACCESS, PV_ACCESS), serve_link)


_FIRST_WORDS = {"ca": struct.pack(">8H", 0, 0, 0, 13, 0, 0, 0, 0), "pva": b""}
"""Of a client: the version of Channel Access that it speaks; with PVAccess the server begins."""


def first_words(kind: str) -> bytes:
    """Return what a client says first, after which a gateway of this kind answers."""
    return _FIRST_WORDS[kind]


def gateways_for(control: ControlSystemConfig) -> Gateways | None:
    """Return the gateways that programs get with this control system; None: none."""
    return _ALL if control.gateways else None
