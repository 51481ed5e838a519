"""A soft IOC with a thousand numbers, by Channel Access and PVAccess on loopback: `python _reads_ioc.py [ticking]`.

Ticking numbers change ten times a second. Its one line of output is a JSON object with its ports; it ends when its
standard input ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys

NAMES = [f"BENCH:{number:04d}" for number in range(1000)]


def serve() -> None:
    """Serve until standard input ends."""
    kept = os.dup(1)
    os.dup2(2, 1)  # the IOC prints a banner
    ports = {name: _free_port() for name in ("ca", "pva", "pva_udp")}
    for name in [name for name in os.environ if name.startswith("EPICS_")]:
        del os.environ[name]
    os.environ.update(
        EPICS_CA_ADDR_LIST="127.0.0.1",
        EPICS_CA_AUTO_ADDR_LIST="NO",
        EPICS_CAS_INTF_ADDR_LIST="127.0.0.1",
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_ADDR_LIST="127.0.0.1",
        EPICS_CAS_SERVER_PORT=str(ports["ca"]),
        EPICS_PVAS_INTF_ADDR_LIST="127.0.0.1",
        EPICS_PVAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_PVAS_BEACON_ADDR_LIST="127.0.0.1",
        EPICS_PVAS_SERVER_PORT=str(ports["pva"]),
        EPICS_PVAS_BROADCAST_PORT=str(ports["pva_udp"]),
    )
    from softioc import asyncio_dispatcher, builder, softioc

    for number, name in enumerate(NAMES):
        if "ticking" in sys.argv:
            builder.records.calc(name, CALC="VAL+1", SCAN=".1 second")
        else:
            builder.records.ao(name, VAL=float(number), PINI="YES", EGU="A")
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
    os.write(kept, json.dumps(ports).encode() + b"\n")
    os.close(kept)
    sys.stdin.read()
    os._exit(0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    serve()
