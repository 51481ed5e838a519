"""What a card shows: the channel that is written by its whole name, and what it gets; nothing where a call only asks."""

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.models import Verdict


@pytest.mark.parametrize(
    ("code", "written"),
    [
        (
            "import pyads\nplc = pyads.Connection('1.2.3.4.1.1', 851)\nplc.open()\nplc.write_by_name('MAIN.sp', 5, pyads.PLCTYPE_INT)",
            {"MAIN.sp": "5"},
        ),
        ("import pyads\nplc = pyads.Connection('a', 851)\nplc.write_list_by_name({'MAIN.sp': 5})", {"MAIN.sp": "5"}),
        (
            "import pyads\nwith pyads.Connection('a', 851) as plc:\n    sym = plc.get_symbol('MAIN.x')\n    sym.write(3)",
            {"MAIN.x": "3"},
        ),
        (
            "import pyads\nplc = pyads.Connection('a', 851)\nsym = plc.get_symbol('MAIN.x')\nsym.value = 3",
            {"MAIN.x": "3"},
        ),
        (
            "import pyads\nplc = pyads.Connection('a', 851)\nplc.write_structure_by_name('MAIN.s', vals, d)",
            {"MAIN.s": "vals"},
        ),
        (
            "import pyads\nplc = pyads.Connection('a', 851)\nprint(plc.read_by_name('MAIN.x', pyads.PLCTYPE_INT), plc.read_state())",
            {},
        ),
        ("import snap7\nc = snap7.client.Client()\nc.connect('a',0,1)\nc.db_write(1, 4, data)", {"DB1.4": "data"}),
        ("import snap7\nc = snap7.client.Client()\nc.plc_hot_start()", {None: None}),
        (
            "import snap7\nfrom snap7.util import get_real, set_real\nc = snap7.client.Client()\nc.connect('a',0,1)\nd = c.db_read(1,0,4)\nprint(get_real(d,0), c.get_cpu_state())",
            {},
        ),
        ("import snap7\nc = snap7.client.Client()\nc.mb_write(0, 2, b'ab')", {"MB0": "b'ab'"}),
        ("from snap7.client import Client\nc = Client()\nc.write_area(0x84, 1, 0, b'x')", {None: "b'x'"}),
        (
            "from caproto.threading.client import Context, Batch\nctx = Context()\npv, = ctx.get_pvs('A')\nwith Batch() as b:\n    b.write(pv, 1)",
            {"A": "1"},
        ),
        (
            "from caproto.threading.client import Context, Batch\nctx = Context()\na, b = ctx.get_pvs('A', 'B')\nwith Batch() as batch:\n    batch.write(a, [1])\n    batch.write(b, [2])",
            {"A": "[1]", "B": "[2]"},
        ),
        (
            "from caproto.threading.client import Context\nctx = Context()\nx, y = ctx.get_pvs('A', 'B')\nx.write(3)",
            {"A": "3"},
        ),
        (
            "from caproto.asyncio.client import Context\nasync def main():\n    ctx = Context()\n    a, = await ctx.get_pvs('A')\n    await a.write(3)\nimport asyncio\nasyncio.run(main())",
            {"A": "3"},
        ),
        (
            "from caproto.threading.client import Context, Batch\nctx = Context()\npv, = ctx.get_pvs('A')\nwith Batch() as b:\n    b.read(pv, print)",
            {},
        ),
        (
            "from caproto.threading.client import Context\nfor pv in Context().get_pvs('A'):\n    pv.write(1)",
            {"A": "1"},
        ),
        ("from caproto.sync.client import write\nwrite('A', 1, notify=True)", {"A": "1"}),
        (
            "import pytac\nlat = pytac.load_csv.load('DIAD')\nel = lat.get_elements('HSTR')[0]\nel.set_value('x_kick', 0.1, units=pytac.ENG)",
            {"HSTR:x_kick": "0.1"},
        ),
        (
            "import pytac\nlat = pytac.load_csv.load('VMX')\nlat.set_element_values('HSTR', 'x_kick', [1])",
            {"HSTR:x_kick": "[1]"},
        ),
        (
            "import pytac\nlat = pytac.load_csv.load('VMX')\nprint(lat.get_element_values('BPM','x'), lat.get_value('emittance_x'))",
            {},
        ),
        ("import pytac\nlat = pytac.load_csv.load('VMX')\nlat.set_value('x_tune', 0.2)", {"x_tune": "0.2"}),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.move(3)", {"X:m1.VAL": "3"}),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.set(3).wait()", {"X:m1.VAL": "3"}),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.stop()", {"X:m1.STOP": None}),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.velocity.put(2)", {"X:m1.VELO": "2"}),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.user_setpoint.put(2)", {"X:m1.VAL": "2"}),
        (
            "from ophyd import EpicsMotor, Device, Component as Cpt\nclass S(Device):\n    x = Cpt(EpicsMotor, 'm1')\ns = S('X:', name='s')\ns.x.move(2)",
            {"X:m1.VAL": "2"},
        ),
        ("from epics import Motor\nm = Motor('X:m1')\nm.move(2)", {"X:m1.VAL": "2"}),
        ("from epics import Motor\nm = Motor('X:m1')\nm.drive = 2", {"X:m1.VAL": "2"}),
        ("from epics import Motor\nm = Motor('X:m1')\nm.VELO = 2", {"X:m1.VELO": "2"}),
        (
            "from bluesky import RunEngine\nimport bluesky.plan_stubs as bps\nfrom ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nRE = RunEngine({})\nRE(bps.mv(m, 5))",
            {"X:m1.VAL": "5"},
        ),
        (
            "from ophyd_async.epics.motor import Motor\nm = Motor('X:m1')\nasync def go():\n    await m.set(2)\nimport asyncio\nasyncio.run(go())",
            {"X:m1.VAL": "2"},
        ),
        ("from ophyd import EpicsMotor\nm = EpicsMotor('X:m1', name='m')\nm.user_offset.put(2)", {"X:m1.OFF": "2"}),
        (
            "from ophyd import EpicsMotor\nms = {n: EpicsMotor(f'X:{n}', name=n) for n in ['m1']}\nms['m1'].move(0)",
            {"X:m1.VAL": "0"},
        ),
        (
            "from epics import Device\nd = Device('DEV', delim=':', attrs=('FIELD',))\nd.put('FIELD', 1)",
            {"DEV:FIELD": "1"},
        ),
        ("from epics import Device\nd = Device('DEV:', attrs=('FIELD',))\nd.FIELD = 1", {"DEV:FIELD": "1"}),
        ("from epics import Device\nd = Device('DEV', attrs=('VAL',), delim='.')\nd.put('VAL', 1)", {"DEV.VAL": "1"}),
        ("from ophyd import EpicsSignal\ns = EpicsSignal('A:RBV', write_pv='A:SP', name='s')\ns.put(1)", {"A:SP": "1"}),
        ("from ophyd import EpicsSignalWithRBV\ns = EpicsSignalWithRBV('A', name='s')\ns.put(1)", {"A": "1"}),
        (
            "from ophyd_async.epics.core import epics_signal_rw\ns = epics_signal_rw(float, 'Q')\nimport asyncio\nasyncio.run(s.set(1))",
            {"Q": "1"},
        ),
        (
            "from ophyd_async.epics.core import epics_signal_rw\ns = epics_signal_rw(float, 'R', 'W')\nimport asyncio\nasyncio.run(s.set(1))",
            {"W": "1"},
        ),
        ("import subprocess\nsubprocess.run(['tango_admin', '--ping-device', 'a/b/c'])", {}),
        ("import os\nos.system('tango_admin --ping-database 5')", {}),
        ("import os\nos.system('tango_admin --check-device a/b/c')", {}),
        (
            "from tango import DeviceProxy\nd = DeviceProxy('a/b/c')\nd.write_attribute('current', 3)",
            {"a/b/c/current": "3"},
        ),
        ("from tango import DeviceProxy\nd = DeviceProxy('a/b/c')\nd.current = 3", {"a/b/c/current": "3"}),
        ("from tango import DeviceProxy\nd = DeviceProxy('a/b/c')\nd.command_inout('On')", {"a/b/c/On": None}),
        ("from tango import AttributeProxy\nAttributeProxy('a/b/c/current').write(3)", {"a/b/c/current": "3"}),
        ("from tango import DeviceProxy\nd = DeviceProxy('a/b/c')\nd.On()", {"a/b/c/On": None}),
        ("import subprocess\nsubprocess.run(['caput', '-h'])", {}),
        ("import subprocess\nsubprocess.run(['pvput', '-V'])", {}),
        ("import subprocess\nsubprocess.run(['softIoc', '--help'])", {}),
        ("import subprocess\nsubprocess.run(['caput', '-c', '-w', '5', 'A', '1'])", {"A": "1"}),
        ("import subprocess\nsubprocess.run(['pvput', 'A', 'value=1'])", {"A": "value=1"}),
        ("import subprocess\nsubprocess.run('caput -t A 1', shell=True)", {"A": "1"}),
        (
            "from pymodbus.client import ModbusTcpClient\nc = ModbusTcpClient('a')\nc.write_register(5, 7)",
            {"register 5": "7"},
        ),
        (
            "from asyncua.sync import Client\nc = Client('opc.tcp://a')\nn = c.get_node('ns=2;i=3')\nn.write_value(5)",
            {"ns=2;i=3": "5"},
        ),
        ("import pydoocs\npydoocs.write('A/B/C/D', 5)", {"A/B/C/D": "5"}),
        ("import pyjapc\nj = pyjapc.PyJapc()\nj.setParam('DEV/PROP', 5)", {"DEV/PROP": "5"}),
        ("from pylogix import PLC\nwith PLC() as c:\n    c.IPAddress='a'\n    c.Write('Tag', 5)", {"Tag": "5"}),
        ("from pvaccess import Channel\nc = Channel('A')\nc.put(5)", {"A": "5"}),
        ("from pvaccess import Channel, CA\nc = Channel('A', CA)\nc.putInt(5)", {"A": "5"}),
        ("from p4p.client.thread import Context\nContext('pva').put(['A','B'], [5,6])", {"A": "5", "B": "6"}),
    ],
)
def test_channels_and_their_values(code: str, written: dict[str | None, str | None]):
    report = analyze(code)
    assert {one.channel: one.value for one in report.writes} == written
    assert report.verdict is (Verdict.ASK if written else Verdict.ALLOW)
