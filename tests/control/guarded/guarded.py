"""A soft IOC whose one record may be written by one user alone; it ends when its standard input ends."""

from __future__ import annotations

import os
import sys
import tempfile

from softioc import asyncio_dispatcher, builder, softioc
from softioc.imports import install_pv_logging

import osprey_executor.control.simulator.__main__ as host

RULES = """
UAG(writers) {%s}
ASG(DEFAULT) {
    RULE(1, READ)
    RULE(1, WRITE, TRAPWRITE) { UAG(writers) }
}
"""


def main() -> None:
    parent = os.getppid()
    announce = host._take_standard_output()
    host._stay_on_loopback(host._free_port())
    with tempfile.NamedTemporaryFile("w", suffix=".acf") as rules:
        rules.write(RULES % os.environ["WRITER"])
        rules.flush()
        install_pv_logging(rules.name)
        builder.SetDeviceName("G")
        builder.aOut("NUMBER", initial_value=1.5)
        builder.LoadDatabase()
        softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher(), enable_pva=False)
    announce({"port": host._served_port()})
    host._wait_for_the_end(parent)
    sys.stdout.flush()
    os._exit(0)


main()
