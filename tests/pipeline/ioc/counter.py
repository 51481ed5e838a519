"""A soft IOC that appends every put to a file, `channel value` a line; it ends when its standard input ends.

The environment says how many channels `K:0`, `K:1`, ... there are (CHANNELS) and which file that is (PUTS).
"""

from __future__ import annotations

import os

from softioc import asyncio_dispatcher, builder, softioc

import osprey_executor.control.simulator.__main__ as host


def main() -> None:
    parent = os.getppid()
    puts = os.open(os.environ["PUTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    announce = host._take_standard_output()
    host._stay_on_loopback(host._free_port())

    def note(value: float, name: str) -> None:
        os.write(puts, f"{name} {value:g}\n".encode())

    builder.SetDeviceName("K")
    for number in range(int(os.environ["CHANNELS"])):
        # Blocking: a put is confirmed when it is noted.
        builder.aOut(str(number), initial_value=-1.0, on_update_name=note, always_update=True, blocking=True)
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher(), enable_pva=False)
    announce({"port": host._served_port()})
    host._wait_for_the_end(parent)
    os._exit(0)


main()
