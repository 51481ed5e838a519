"""Run the virtual accelerator until standard input ends.

The one line on standard output is a JSON object: `{"ready": true, "port": ..., "id": ...}` once the records are served,
or `{"ready": false, "missing": ...}`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import socket
import sys
from typing import Any

_LOOPBACK = {
    "EPICS_CA_ADDR_LIST": "127.0.0.1",
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
}


def main() -> int:
    """Serve the records on loopback; end when standard input ends or the parent is gone."""
    parser = argparse.ArgumentParser(prog="python -m osprey_executor.control.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="TCP port of Channel Access; 0, or a taken one: any free")
    parser.add_argument("--seed", type=int, default=1, help="of misalignments and noise")
    parser.add_argument("--id", default="virtual accelerator", help="text of the channel VA:ID, at most 39 characters")
    asked = parser.parse_args()
    parent = os.getppid()
    announce = _take_standard_output()
    _stay_on_loopback(asked.port or _free_port())
    try:
        _serve(asked.seed, asked.id)
    except ModuleNotFoundError as error:
        announce({"ready": False, "missing": error.name or str(error)})
        return 1
    announce({"ready": True, "port": _served_port(), "id": asked.id})
    with contextlib.suppress(KeyboardInterrupt):
        _wait_for_the_end(parent)
    sys.stderr.flush()
    # libca and the IOC's threads have no orderly end; nothing here needs one.
    os._exit(0)


def _take_standard_output() -> Any:
    """Return the function that writes the one line; whatever else is printed here goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)

    def announce(message: dict[str, Any]) -> None:
        os.write(kept, json.dumps(message).encode() + b"\n")
        os.close(kept)

    return announce


def _stay_on_loopback(port: int) -> None:
    for name in [name for name in os.environ if name.startswith("EPICS_")]:
        del os.environ[name]
    os.environ.update(_LOOPBACK, EPICS_CAS_SERVER_PORT=str(port))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(seed: int, identity: str) -> None:
    import asyncio
    from importlib import import_module

    # As Any: softioc has no types.
    softioc: Any = import_module("softioc.softioc")
    builder: Any = import_module("softioc.builder")
    dispatchers: Any = import_module("softioc.asyncio_dispatcher")
    from osprey_executor.control.simulator._records import Records
    from osprey_executor.control.simulator._ring import VirtualRing

    records = Records(VirtualRing(seed), identity=identity, seed=seed)
    dispatcher = dispatchers.AsyncioDispatcher()
    builder.LoadDatabase()
    softioc.iocInit(dispatcher, enable_pva=False)
    records.publish()
    asyncio.run_coroutine_threadsafe(records.refresh(), dispatcher.loop)


def _served_port() -> int:
    """Return the port that the server really has: it takes any free one where the asked one is taken.

    Source: EPICS Base, modules/database/src/ioc/rsrv/caservertask.c sets RSRV_SERVER_PORT in the C environment, which
    `os.environ` does not see.
    """
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return int(getenv(b"RSRV_SERVER_PORT"))


def _wait_for_the_end(parent: int) -> None:
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], 1.0)
        if readable and not os.read(0, 4096):
            return


if __name__ == "__main__":
    sys.exit(main())
