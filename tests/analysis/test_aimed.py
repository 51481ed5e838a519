"""What a write is aimed at: which channel gets which value, as far as values can be worked out."""

import textwrap

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.models import Effect, Verdict


def writes(code: str) -> set[tuple[str | None, str | None]]:
    return {(target.channel, target.value) for target in analyze(textwrap.dedent(code)).writes}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("for n, v in {'A': 1.5, 'B': -2}.items():\n    caput(n, v)", {("A", "1.5"), ("B", "-2")}),
        ("for n, v in [('A', 1), ('B', 2)]:\n    caput(n, v)", {("A", "1"), ("B", "2")}),
        ("for n, v in zip(['A', 'B'], (1, 2)):\n    caput(n, v)", {("A", "1"), ("B", "2")}),
        (
            "def f(plan):\n    for n, v in plan.items():\n        caput(n, v)\nf({'A': 1, 'B': 2})",
            {("A", "1"), ("B", "2")},
        ),
        ("amps = 0.35\ncaput('A', amps)", {("A", "0.35")}),
        ("def to(v):\n    caput('A', v)\nto(1)\nto(2)", {("A", "1"), ("A", "2")}),
        ("names, values = ['A', 'B'], [1, 2]\nepics.caput_many(names, values)", {("A", "1"), ("B", "2")}),
        ("names = ['A', 'B']\nepics.caput_many(names, [1, 2.5])", {("A", "1"), ("B", "2.5")}),
        ("exec('caput(\"A\", 5)')", {("A", "5")}),
        ("import functools\nfunctools.partial(caput, 'A', 3)()", {("A", "3")}),
        ("import asyncio\nasyncio.get_running_loop().call_later(1, caput, 'A', 4)", {("A", "4")}),
        ("epics.ca.CAThread(target=caput, args=('A', 2.0)).start()", {("A", "2.0")}),
        # what is not known to be one value keeps its source
        ("v = 0\nfor _ in range(9):\n    v += 1\n    caput('A', v)", {("A", "v")}),
        ("for n, v in {'A': 1, 'B': float(input())}.items():\n    caput(n, v)", {("A", "v"), ("B", "v")}),
        ("for n in ('A', 'B'):\n    for v in (1, 2):\n        caput(n, v)", {("A", "v"), ("B", "v")}),
        ("caput('A', 2 * 0.5)", {("A", "2 * 0.5")}),
    ],
)
def test_each_channel_has_its_own_value(code: str, told: set[tuple[str, str]]):
    assert writes(f"import epics\nfrom epics import caput\n{code}") == told


def test_what_tango_answers_and_how_a_group_is_called_are_no_targets():
    code = """
    import tango
    proxy = tango.DeviceProxy("a/b/c")
    asked = proxy.write_attribute_asynch("x", 1)
    proxy.write_attribute_reply(asked, 1000)
    group = tango.Group("label")
    group.write_attribute("x", 2)
    """
    assert writes(code) == {("a/b/c/x", "1"), (None, "2")}


_BLUESKY = """
import bluesky.plans as bp
import bluesky.plan_stubs as bps
from ophyd import EpicsMotor, EpicsSignalRO, SimDetector
from mystery import camera
x, y, ro = EpicsMotor("S:X", name="x"), EpicsMotor("S:Y", name="y"), EpicsSignalRO("S:I", name="i")
"""


@pytest.mark.parametrize(
    "code",
    [
        "bp.count([ro], num=3)",
        "bp.count([camera])",
        "from ophyd.sim import det\nbp.count([det])",
        "bps.trigger_and_read([ro])\nbps.rd(ro)\nbps.monitor(ro)",
    ],
)
def test_a_plan_over_detectors_reads(code: str):
    report = analyze(_BLUESKY + code)
    assert report.verdict is Verdict.ALLOW
    assert not report.writes
    assert Effect.CONTROL_READ in report.effects


@pytest.mark.parametrize(
    ("code", "channels"),
    [
        ("bps.mv(x, 1, y, 2)", {"S:X.VAL", "S:Y.VAL"}),
        ("bps.abs_set(x, 1)", {"S:X.VAL"}),
        ("bp.scan([ro], x, 0, 1, 5)", {"S:X.VAL"}),
        ("bp.rel_scan([ro], x, 0, 1, y, 0, 1, 5)", {"S:X.VAL", "S:Y.VAL"}),
        ("bp.list_scan([ro], x, [0, 1])", {"S:X.VAL"}),
        ("bp.grid_scan([ro], x, 0, 1, 5, y, 0, 2, 5, snake_axes=True)", {"S:X.VAL", "S:Y.VAL"}),
        ("bp.adaptive_scan([ro], 'i', motor=x, start=0, stop=1)", {"S:X.VAL"}),
        ("bp.scan([ro], mystery_motor, 0, 1, 5)", {None}),
        ("bp.count([SimDetector('S:CAM:')])", {None}),
    ],
)
def test_a_plan_that_sets_devices_names_their_channels(code: str, channels: set[str | None]):
    report = analyze(_BLUESKY + code)
    assert report.verdict is Verdict.ASK
    assert {target.channel for target in report.writes} == channels


@pytest.mark.parametrize(
    "code",
    [
        "import zmq\nx = zmq.Context().socket(zmq.SUB).recv_pyobj()",
        "from multiprocessing.connection import Client\nwith Client(('h', 1)) as c:\n    x = c.recv()",
        "from multiprocessing.connection import Listener\nx = Listener(('h', 1)).accept().recv()",
    ],
)
def test_what_is_unpickled_from_the_network_asks(code: str):
    report = analyze(code)
    assert report.verdict is Verdict.ASK
    assert {Effect.OPAQUE, Effect.NETWORK} <= report.effects


def test_a_pipe_between_processes_of_the_program_does_not_ask():
    assert analyze("import multiprocessing\na, b = multiprocessing.Pipe()\nx = a.recv()").verdict is Verdict.ALLOW


@pytest.mark.parametrize("name", ["setCmd", "set_cmd"])
def test_what_is_set_by_snmp_asks_and_what_is_read_does_not(name: str):
    assert analyze(f"from pysnmp.hlapi import *\nx = {name}(SnmpEngine())").verdict is Verdict.ASK
    assert analyze("from pysnmp.hlapi import *\nx = getCmd(SnmpEngine())").verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("code", "channel"),
    [
        ("SimDetector('S:').cam.acquire_time.put(1)", "S:cam1:AcquireTime"),
        (
            "from ophyd.areadetector import PilatusDetector\nPilatusDetector('S:').cam.num_images.set(1)",
            "S:cam1:NumImages",
        ),
        ("class D(SimDetector):\n    pass\nD('S:').cam.acquire.put(1)", "S:cam1:Acquire"),
        ("class D(SimDetector):\n    hdf = Cpt(HDF5Plugin, 'HDF1:')\nD('S:').hdf.file_path.put(1)", "S:HDF1:FilePath"),
        ("class D(Device):\n    cam = Cpt(SimDetectorCam, 'cam2:')\nD('S:').cam.gain.put(1)", "S:cam2:Gain"),
        ("class D(Device):\n    gain = Cpt(EpicsSignal, 'G')\nD('S:').gain.put(1)", "S:G"),
    ],
)
def test_a_field_of_an_area_detector_has_its_whole_name(code: str, channel: str):
    start = "from ophyd import Component as Cpt, Device, EpicsSignal, SimDetector\n"
    start += "from ophyd.areadetector.plugins import HDF5Plugin\nfrom ophyd.areadetector.cam import SimDetectorCam\n"
    assert writes(start + code) == {(channel, "1")}
