"""A soft IOC with one record of each type; it ends when its standard input ends."""

from __future__ import annotations

import os

import numpy as np
from softioc import asyncio_dispatcher, builder, softioc

import osprey_executor.control.simulator.__main__ as host


def main() -> None:
    parent = os.getppid()
    announce = host._take_standard_output()
    host._stay_on_loopback(host._free_port())
    builder.SetDeviceName("T")
    builder.aOut("NUMBER", initial_value=1.5, EGU="A", DRVL=-10, DRVH=10)
    builder.aOut("OTHER", initial_value=0.0)
    builder.aOut("LATE", initial_value=0.0)
    builder.longOut("WHOLE", initial_value=7, EGU="turns")
    builder.mbbOut("STATE", "Off", "Standby", "On", initial_value=1)
    builder.stringOut("TEXT", initial_value="hello")
    builder.WaveformOut("ROW", initial_value=np.arange(5.0), length=8)
    builder.records.waveform("EMPTY", FTVL="DOUBLE", NELM=4)
    builder.records.waveform("BYTES", FTVL="CHAR", NELM=80)
    builder.records.waveform("TEXTS", FTVL="STRING", NELM=3)
    builder.aIn("ALARM", initial_value=3.0).set(3.0, severity=1)
    builder.records.ai("NEVER", EGU="V")
    builder.records.ao("LOCKED", VAL=2.0, PINI="YES", DISP=1)
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher(), enable_pva=False)
    announce({"port": host._served_port()})
    host._wait_for_the_end(parent)
    os._exit(0)


main()
