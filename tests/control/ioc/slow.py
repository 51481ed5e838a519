"""A soft IOC by Channel Access and PVAccess with a record that takes its time; it ends with its standard input."""

from __future__ import annotations

import asyncio
import os

import osprey_executor.control.simulator.__main__ as host


def main() -> None:
    parent = os.getppid()
    announce = host._take_standard_output()
    host._stay_on_loopback(host._free_port())
    pva = host._free_port()
    os.environ.update(EPICS_PVAS_INTF_ADDR_LIST="127.0.0.1", EPICS_PVAS_SERVER_PORT=str(pva))
    os.environ.update(EPICS_PVAS_BROADCAST_PORT="0", EPICS_PVAS_AUTO_BEACON_ADDR_LIST="NO")
    os.environ.update(EPICS_PVAS_BEACON_ADDR_LIST="127.0.0.1")
    from softioc import asyncio_dispatcher, builder, softioc

    arrived = asyncio.Event()
    builder.SetDeviceName("S")

    async def move(value: float) -> None:
        await arrived.wait()
        position.set(value)

    builder.aOut("MOTOR", initial_value=0.0, on_update=move, blocking=True)
    position = builder.aOut("POSITION", initial_value=0.0)
    builder.aOut("ARRIVE", initial_value=0.0, on_update=lambda value: arrived.set() if value else arrived.clear())
    builder.aOut("LAMP", initial_value=0.0)
    builder.boolOut("STOPPED", "Run", "Stopped", initial_value=0)
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
    announce({"port": host._served_port(), "tcp": pva})
    host._wait_for_the_end(parent)
    os._exit(0)


main()
