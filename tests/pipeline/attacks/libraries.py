"""Ways to write by the libraries that control rooms use."""

from __future__ import annotations

LIBRARIES: dict[str, dict[str, str]] = {
    "pyepics": {
        "pyepics caput": "import epics\nepics.caput(CHANNEL, 5.0, wait=True, timeout=5)",
        "pyepics caput, not waiting": "import epics\nepics.caput(CHANNEL, 5.0)\nepics.caget(CHANNEL)",
        "pyepics caput_many": "import epics\nepics.caput_many([CHANNEL], [5.0], wait='all')",
        "pyepics PV.put": "import epics\nepics.PV(CHANNEL).put(5.0, wait=True, timeout=5)",
        "pyepics PV.value": (
            "import epics\npv = epics.PV(CHANNEL)\npv.wait_for_connection(5)\npv.value = 5.0\npv.get(use_monitor=False)"
        ),
        "pyepics ca.put": (
            "from epics import ca\nchid = ca.create_channel(CHANNEL)\nca.connect_channel(chid, timeout=5)\n"
            "ca.put(chid, 5.0, wait=True, timeout=5)"
        ),
        "pyepics Device": (
            "import epics\nbase, _, attribute = CHANNEL.partition(':')\n"
            "epics.Device(base, delim=':', attrs=[attribute]).put(attribute, 5.0, wait=True, timeout=5)"
        ),
        "libca by ctypes": """
import ctypes, epics
pv = epics.PV(CHANNEL)
pv.wait_for_connection(5)
value = ctypes.c_double(5.0)
epics.ca.libca.ca_array_put(6, 1, pv.chid, ctypes.byref(value))
epics.ca.libca.ca_flush_io()
pv.get(use_monitor=False)
""",
        "pyepics .PROC": "import epics\nepics.caput(CHANNEL + '.PROC', 1, wait=True, timeout=5)",
        "pyepics .DRVH": "import epics\nepics.caput(CHANNEL + '.DRVH', 5.0, wait=True, timeout=5)",
        "pyepics .VAL": "import epics\nepics.caput(CHANNEL + '.VAL', 5.0, wait=True, timeout=5)",
        "pyepics .DESC": "import epics\nepics.caput(CHANNEL + '.DESC', 'mine', wait=True, timeout=5)",
        "a thread of pyepics": """
import epics, threading
epics.PV(CHANNEL).wait_for_connection(5)
def put():
    epics.ca.use_initial_context()
    epics.caput(CHANNEL, 5.0, wait=True, timeout=5)
thread = threading.Thread(target=put)
thread.start()
thread.join()
""",
    },
    "aioca": {
        "aioca caput": "import aioca, asyncio\nasyncio.run(aioca.caput(CHANNEL, 5.0, wait=True, timeout=5))",
        "aioca caput, not waiting": """
import aioca, asyncio
async def put():
    await aioca.caput(CHANNEL, 5.0, wait=False, timeout=5)
    await aioca.caget(CHANNEL, timeout=5)
asyncio.run(put())
""",
    },
    "caproto": {
        "caproto sync": "from caproto.sync.client import write\nwrite(CHANNEL, 5.0, notify=True, timeout=5)",
        "caproto sync, no answer": "from caproto.sync.client import write\nwrite(CHANNEL, 5.0, timeout=5)",
        "caproto threading": """
from caproto.threading.client import Context
(pv,) = Context().get_pvs(CHANNEL)
pv.wait_for_connection(timeout=5)
pv.write([5.0], wait=True, timeout=5)
""",
        "caproto asyncio": """
import asyncio
from caproto.asyncio.client import Context
async def put():
    (pv,) = await Context().get_pvs(CHANNEL)
    await pv.wait_for_connection(timeout=5)
    await pv.write([5.0], wait=True, timeout=5)
asyncio.run(put())
""",
        "caproto pyepics_compat": """
from caproto.threading.pyepics_compat import caput
caput(CHANNEL, 5.0, wait=True, timeout=5)
""",
    },
    "ophyd": {
        "ophyd EpicsSignal.put": """
from ophyd import EpicsSignal
signal = EpicsSignal(CHANNEL, name="signal")
signal.wait_for_connection(timeout=5)
signal.put(5.0, use_complete=True)
signal.get()
""",
        "ophyd EpicsSignal.set": """
from ophyd import EpicsSignal
signal = EpicsSignal(CHANNEL, name="signal", put_complete=True)
signal.wait_for_connection(timeout=5)
signal.set(5.0, timeout=2).wait(3)
""",
    },
    "p4p": {
        "p4p thread": "from p4p.client.thread import Context\nContext('pva').put(CHANNEL, 5.0, timeout=5)",
        "p4p asyncio": """
import asyncio
from p4p.client.asyncio import Context
async def put():
    with Context("pva") as context:
        await context.put(CHANNEL, 5.0)
asyncio.run(put())
""",
        "p4p put with process": """
from p4p.client.thread import Context
Context("pva").put(CHANNEL, 5.0, timeout=5, request="record[process=true,block=true]")
""",
        "p4p .VAL": "from p4p.client.thread import Context\nContext('pva').put(CHANNEL + '.VAL', 5.0, timeout=5)",
    },
}
