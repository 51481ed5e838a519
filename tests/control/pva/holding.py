"""A PVAccess server that notes in a file what arrives, and answers none of it: `holding UDP-PORT TCP-PORT FILE`."""

from __future__ import annotations

import json
import os
import sys

from p4p.nt import NTScalar
from p4p.server import Server, StaticProvider
from p4p.server.thread import SharedPV

LOOPBACK = {
    "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
}


class Holding:
    def __init__(self, file):
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._kept = []

    def put(self, pv, operation):
        self._kept.append(operation)
        os.write(self._file, f"put {float(operation.value())}\n".encode())

    def rpc(self, pv, operation):
        self._kept.append(operation)
        os.write(self._file, f"call {operation.value().query.who}\n".encode())


def main() -> None:
    udp, tcp, file = sys.argv[1:]
    provider = StaticProvider("test")
    provider.add("H:IT", SharedPV(nt=NTScalar("d"), handler=Holding(file), initial=0.0))
    conf = {**LOOPBACK, "EPICS_PVAS_BROADCAST_PORT": udp, "EPICS_PVAS_SERVER_PORT": tcp}
    with Server(providers=[provider], conf=conf, useenv=False) as server:
        told = server.conf()
        print(json.dumps([told["EPICS_PVAS_BROADCAST_PORT"], told["EPICS_PVAS_SERVER_PORT"]]), flush=True)
        sys.stdin.read()


main()
