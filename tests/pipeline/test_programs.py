"""Programs as control rooms have them: each asks about what it would write, and writes that when it is approved."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from osprey_executor import PythonExecutorService, RunStatus
from osprey_executor.models import MachineEffects

from .conftest import own
from .machine import Machine, machine_with
from .test_rehearsal import Asked

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAMS = {
    "runtime": """
from osprey_executor.runtime import read_channel, write_channel
write_channel(CHANNEL, 2.5)
results = {"seen": read_channel(CHANNEL)}
""",
    "epics.caput": """
import epics
epics.caput(CHANNEL, 2.5, wait=True)
results = {"seen": epics.caget(CHANNEL, use_monitor=False)}
""",
    "PV.put": """
import epics
pv = epics.PV(CHANNEL)
pv.wait_for_connection(5)
before = pv.get()
pv.put(2.5, wait=True)
results = {"seen": pv.get(use_monitor=False)}
""",
    "ophyd set": """
from ophyd import EpicsSignal
signal = EpicsSignal(CHANNEL, name="signal", put_complete=True)
signal.wait_for_connection(timeout=5)
signal.set(2.5, timeout=10).wait(10)
results = {"seen": signal.get()}
""",
    "bluesky mv": """
from bluesky import RunEngine
import bluesky.plan_stubs as bps
from ophyd import EpicsSignal
RE = RunEngine({})
device = EpicsSignal(CHANNEL, name="device", put_complete=True)
device.wait_for_connection(timeout=5)
RE(bps.mv(device, 2.5))
results = {"seen": device.get()}
""",
    "aioca": """
import aioca, asyncio
async def put():
    await aioca.caput(CHANNEL, 2.5, wait=True)
    return float(await aioca.caget(CHANNEL))
results = {"seen": asyncio.run(put())}
""",
    "caproto": """
from caproto.sync.client import read, write
write(CHANNEL, 2.5, notify=True, timeout=20)
results = {"seen": float(read(CHANNEL, timeout=20).data[0])}
""",
    "p4p": """
from p4p.client.thread import Context
with Context("pva") as context:
    context.put(CHANNEL, 2.5)
    results = {"seen": float(context.get(CHANNEL))}
""",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Machine]:
    async with machine_with(len(PROGRAMS), tmp_path_factory.mktemp("machine")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PythonExecutorService]:
    home = tmp_path_factory.mktemp("home")
    async with PythonExecutorService.from_config(machine.config(), home=home) as opened:
        yield opened


def events(journal: Path) -> list[str]:
    return [json.loads(line)["event"] for line in journal.read_text().splitlines()]


@pytest.mark.parametrize("name", PROGRAMS)
async def test_it_asks_shows_its_plan_and_then_writes_that(
    name: str, service: PythonExecutorService, machine: Machine
) -> None:
    channel = f"K:{[*PROGRAMS].index(name)}"
    waiting = await service.run(own(f"CHANNEL = {channel!r}\n{PROGRAMS[name]}"))
    assert waiting.status is RunStatus.AWAITING_APPROVAL, (waiting.error, waiting.stdout, waiting.stderr)
    assert events(waiting.folder / "rehearsal-1.jsonl") == ["attempt", "rehearsed"]
    assert channel not in machine.arrived()
    asked = Asked()
    result = await service.run(own(f"CHANNEL = {channel!r}\n{PROGRAMS[name]}"), decide=asked)
    [card] = asked.cards
    assert card.plan is not None
    assert [(write.channel, write.now, write.value) for write in card.plan.writes] == [(channel, -1.0, 2.5)]
    assert card.plan.conclusive
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN), result.error
    assert result.results == {"seen": 2.5}
    assert [(write.channel, write.confirmed) for write in result.writes] == [(channel, True)]
    assert machine.arrived()[channel] == [2.5]
    entries = [json.loads(line) for line in (result.folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["attempt", "intended", "sent", "confirmed"]
    assert float(entries[-1]["read_back"]) == 2.5


HARMLESS = {
    "queue.put": "import queue\nq = queue.Queue()\nq.put(1)\nresults = {'x': q.get()}",
    "SimpleQueue.put": "from multiprocessing import SimpleQueue\nq = SimpleQueue()\nq.put(3)\nresults = {'x': q.get()}",
    "asyncio.Queue.put": """
import asyncio
async def main():
    q = asyncio.Queue()
    await q.put(1)
    return await q.get()
results = {"x": asyncio.run(main())}
""",
    "numpy.put": "import numpy as np\na = np.zeros(3)\nnp.put(a, [1], [5])\na.put([0], 2)\nresults = {'x': a}",
    "pandas eval": "import pandas as pd\nd = pd.DataFrame({'a': [1]})\nresults = {'x': int(d.eval('a + 1')[0])}",
    "pandas at": "import pandas as pd\nd = pd.DataFrame({'a': [1]})\nd.at[0, 'a'] = 7\nresults = {'x': int(d.a[0])}",
    "eval and exec": "eval('1 + 1')\nexec('x = 1')\nresults = {'x': x}",
    "model.eval": "class Model:\n    def eval(self): return 1\nresults = {'x': Model().eval()}",
    "axes.set": """
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.set(xlabel="write", title="put")
axes.set_xlim(0, 1)
results = {}
""",
    "file.write": "with open('out.txt', 'w') as file:\n    file.write('caput K:0 1')\nresults = {}",
    "sys.stdout.write": "import sys\nsys.stdout.write('PV.put')\nresults = {}",
    "csv writer": "import csv, sys\ncsv.writer(sys.stdout).writerow(['put', 1])\nresults = {}",
    "set": "values = set([1, 2])\nvalues.add(3)\nresults = {'x': sorted(values)}",
    "setattr": "class A: pass\na = A()\nsetattr(a, 'value', 1)\na.put = 2\nresults = {'x': a.value}",
    "Event.set": "import threading\ne = threading.Event()\ne.set()\nresults = {'x': e.is_set()}",
    "ContextVar.set": "import contextvars\nv = contextvars.ContextVar('v')\nv.set(1)\nresults = {'x': v.get()}",
    "a caput of its own": "def caput(name, value): return value\nresults = {'x': caput('K:0', 1)}",
    "the words": "text = 'epics.caput(K:0, 1); write_channel'\nresults = {'x': text}",
    "reading": "import epics\nresults = {'x': epics.caget('K:0', use_monitor=False) is not None}",
    "a PV that is not put": "import epics\npv = epics.PV('K:0')\nput = pv.put\nresults = {'x': pv.connect(timeout=5)}",
    "ophyd of no machine": """
from ophyd import Signal
signal = Signal(name="signal", value=0)
signal.put(1)
signal.set(2).wait(1)
results = {"x": signal.get()}
""",
    "bluesky count": """
from bluesky import RunEngine
from bluesky.plans import count
from ophyd import EpicsSignalRO
RE = RunEngine({})
seen = []
signal = EpicsSignalRO("K:0", name="signal")
signal.wait_for_connection(timeout=5)
RE(count([signal], num=2), lambda name, document: seen.append(name))
results = {"x": seen.count("event")}
""",
    "libca without a channel": "import epics\nepics.ca.initialize_libca()\nresults = {}",
    "declared and imported": """
from osprey_executor.runtime import declare_writes, write_channel
declare_writes({"K:0": (0, 1)})
results = {"x": callable(write_channel)}
""",
}


@pytest.mark.parametrize("name", HARMLESS)
async def test_a_harmless_program_asks_nobody(name: str, service: PythonExecutorService, machine: Machine) -> None:
    asked, puts = Asked(), machine.arrived()
    result = await service.run(own(HARMLESS[name]), decide=asked)
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.NONE), result.error
    assert asked.cards == []
    assert machine.arrived() == puts
