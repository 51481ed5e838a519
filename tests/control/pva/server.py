"""A PVAccess server with one channel of each kind, on loopback; it ends when its standard input ends."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from p4p.nt import NTEnum, NTNDArray, NTScalar, NTTable
from p4p.server import Server, StaticProvider
from p4p.server.thread import SharedPV

LOOPBACK = {
    "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
    "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
    "EPICS_PVAS_SERVER_PORT": "0",
    "EPICS_PVAS_BROADCAST_PORT": "0",
}


class Plain:
    """Keeps what is put."""

    def put(self, pv, operation):
        pv.post(operation.value(), timestamp=time.time())
        operation.done()


class Slow(Plain):
    """Confirms no put within the patience of any test."""

    def put(self, pv, operation):
        self.kept = operation


class Locked:
    def put(self, pv, operation):
        operation.done(error="locked by the operator")


class Command(Plain):
    """`double` answers twice its argument, `table` a table; each run is counted in P:RUNS."""

    def __init__(self, runs):
        self._runs = runs
        self._count = 0

    def rpc(self, pv, operation):
        self._count += 1
        self._runs.post(self._count)
        asked = operation.value()
        if asked.query.get("action") == "table":
            operation.done(NTTable([("at", "d"), ("name", "s")]).wrap([{"at": 1.0, "name": "a"}]))
        elif asked.query.get("action") == "image":
            operation.done(NTNDArray().wrap(np.zeros((4, 4))))
        elif asked.query.get("action") == "fail":
            operation.done(error="no such action")
        else:
            operation.done(NTScalar("d").wrap(2.0 * asked.query.number))


class Request(Plain):
    """Counts the processings that clients ask for by a pvRequest option."""

    def __init__(self, asked):
        self._asked = asked

    def put(self, pv, operation):
        self._asked.post(str(operation.pvRequest().todict()))
        super().put(pv, operation)


def main() -> None:
    provider = StaticProvider("test")

    def add(name, nt, initial, handler=None):
        pv = SharedPV(nt=nt, handler=handler or Plain(), initial=initial, timestamp=time.time())
        provider.add(f"P:{name}", pv)
        return pv

    number = {"value": 1.5, "display.units": "A", "control.limitLow": -10.0, "control.limitHigh": 10.0}
    add("NUMBER", NTScalar("d", display=True, control=True), number)
    add("WHOLE", NTScalar("l"), 7)
    add("STATE", NTEnum(), {"index": 1, "choices": ["Off", "Standby", "On"]})
    add("FLAG", NTScalar("?"), True)
    add("TEXT", NTScalar("s"), "hello")
    add("ROW", NTScalar("ad"), np.arange(4.0))
    add("TABLE", NTTable([("at", "d"), ("name", "s")]), [{"at": 1.0, "name": "a"}, {"at": 2.0, "name": "b"}])
    add("IMAGE", NTNDArray(), np.zeros((4, 4)))
    invalid = {"value": 0.0, "alarm.severity": 3, "alarm.status": 2, "alarm.message": "no link"}
    add("INVALID", NTScalar("d"), invalid)
    add("LOCKED", NTScalar("d"), 2.0, Locked())
    add("SLOW", NTScalar("d"), 0.0, Slow())
    runs = add("RUNS", NTScalar("l"), 0)
    command = Command(runs)
    add("COMMAND", NTScalar("d"), 0.0, command)
    provider.add("P:SERVICE", SharedPV(handler=command))  # has commands and no value
    asked = add("ASKED", NTScalar("s"), "")
    add("OPTIONS", NTScalar("d"), 0.0, Request(asked))
    with Server(providers=[provider], conf=LOOPBACK, useenv=False) as server:
        told = server.conf()
        ports = {"port": told["EPICS_PVAS_BROADCAST_PORT"], "tcp": told["EPICS_PVAS_SERVER_PORT"]}
        print(json.dumps({name: int(port) for name, port in ports.items()}), flush=True)
        sys.stdin.read()


main()
