"""What a person is told: why they are asked, in words that cannot be read two ways."""

import textwrap

import pytest

from osprey_executor.analysis import Site, analyze
from osprey_executor.analysis.catalogue._compile import compiled
from osprey_executor.models import Effect, Verdict

WRITES = "which reaches nothing from the sandbox in this version; use osprey_executor.runtime.write_channel"
READS = "which reaches nothing from the sandbox in this version; use osprey_executor.runtime.read_channel"


def reason_of(code: str) -> str:
    return analyze(textwrap.dedent(code)).reason


def test_one_line_that_writes_names_its_channels():
    start = "from osprey_executor import runtime\n"
    assert reason_of(f"{start}runtime.write_channel('A:SP', 1)") == "line 2: writes a channel: A:SP"
    two, three = "{'A:SP': 1, 'B:SP': 2}", "{'A:SP': 1, 'B:SP': 2, 'C:SP': 3}"
    assert reason_of(f"{start}runtime.write_channels({two})") == "line 2: writes channels: A:SP and 1 other channel"
    assert reason_of(f"{start}runtime.write_channels({three})") == "line 2: writes channels: A:SP and 2 other channels"


@pytest.mark.parametrize(
    ("lines", "channels"),
    [
        ("runtime.write_channels({'A:SP': 1, 'B:SP': 2})", {"A:SP", "B:SP"}),
        ("values = {}\nvalues['A:SP'] = 1\nruntime.write_channels(values)", {"A:SP"}),
        ("runtime.write_channels({name: 1 for name in ('A:SP', 'B:SP')})", {"A:SP", "B:SP"}),
        ("runtime.write_channels({'A:SP': 1, **context.more})", {"A:SP", None}),
        ("values = {'A:SP': 1}\nvalues[input()] = 2\nruntime.write_channels(values)", {"A:SP", None}),
        ("values = {'A:SP': 1}\nvalues.update(context.more)\nruntime.write_channels(values)", {"A:SP", None}),
    ],
)
def test_a_dictionary_writes_the_channels_that_its_keys_name(lines: str, channels: set[str | None]):
    report = analyze(f"from osprey_executor import runtime\nfrom mystery import context\n{lines}")
    assert {target.channel for target in report.writes} == channels


def test_several_lines_that_write_are_counted():
    code = "from osprey_executor.runtime import write_channel\n" + "write_channel('A:SP', 1)\n" * 2
    assert reason_of(code) == "lines 2 and 3 write channels"
    assert reason_of(code + "write_channel('B:SP', 1)\n" * 6) == "line 2 and 7 other lines write channels"


def test_lines_that_write_and_lines_in_doubt_are_told_apart():
    code = "from osprey_executor.runtime import write_channel\nwrite_channel('A:SP', 1)\nexec(input())\n"
    first, _, second = reason_of(code).partition("; ")
    assert first == "line 2: writes a channel: A:SP"
    assert second.startswith("line 3: ")
    assert reason_of(code + "exec(input())\n").endswith("; see also line 4")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import tango\ntango.DeviceProxy('a/b/c').current = 1",
            f"sets an attribute of a Tango device: a/b/c/current, {WRITES}",
        ),
        ("import tango\nx = tango.DeviceProxy('a/b/c').read_attribute('current')", f"reads a Tango device, {READS}"),
        ("import os\nos.system('tangoctl A 1')", f"writes a channel with a command: A, {WRITES}"),
    ],
)
def test_a_way_to_channels_that_leads_nowhere_is_called_futile(code: str, told: str):
    report = analyze(code)
    assert told in [finding.message for finding in report.findings]
    if Effect.CONTROL_WRITE in report.effects:
        assert (report.verdict, report.reason) == (Verdict.ASK, f"line 2: {told}")


@pytest.mark.parametrize(
    "code",
    [
        "import epics\nepics.caput('A:SP', epics.caget('A:RB'))",
        "from caproto.sync.client import read, write\nwrite('A:SP', read('A:RB'))",
        "import aioca\nawait_ = aioca.caput('A:SP', 1)",
        "from cothread.catools import caput\ncaput('A:SP', 1)",
        "from ophyd import EpicsSignal\nEpicsSignal('A:SP').put(1)",
        "from ophyd_async.epics.motor import Motor\nMotor('A:SP').set(1)",
        "import bluesky.plan_stubs as bps\nx = bps.mv(motor, 1)",
        "from p4p.client.thread import Context\nContext('pva').put('A:SP', 1)",
        "import pvaccess\npvaccess.Channel('A:SP').put(1)",
        "import os\nos.system('caput A:SP 1; pvput A:SP 1; caget A:SP')",
        "import labtools_of_the_site\nlabtools_of_the_site.caput('A:SP', 1)",
    ],
)
def test_a_way_that_a_gateway_brings_to_the_broker_is_not_called_futile(code: str):
    report = analyze(code)
    assert report.writes or "labtools" in code
    assert not [finding for finding in report.findings if "reaches nothing" in finding.message]
    assert "reaches nothing" not in report.reason


def test_what_a_site_adds_is_called_futile_only_where_it_says_so():
    rule = {"effect": "control_write", "names": ["labtools.set"], "says": "sets"}
    for library, futile in (({}, False), ({"reaches": False}, True), ({"reaches": True}, False)):
        catalogue = compiled([("lab", {"modules": ["labtools"], "control": True, "rule": [rule], **library})])
        report = analyze("import labtools\nlabtools.set('A', 1)", site=Site(catalogue=catalogue))
        assert report.verdict is Verdict.ASK
        assert ("reaches nothing" in report.reason) is futile


@pytest.mark.parametrize("module", ["osprey_executor.runtime", "osprey.runtime"])
def test_the_way_that_leads_out_is_not_called_futile(module: str):
    report = analyze(f"from {module} import *\nwrite_channel('A:SP', read_channel('A:RB'))")
    assert report.writes
    assert not [finding for finding in report.findings if "reaches nothing" in finding.message]


def test_a_futile_write_function_that_is_handed_on_is_called_futile():
    (finding,) = (one for one in analyze("import pydoocs\nput = [pydoocs.write]").findings if one.effect)
    assert finding.message.endswith(WRITES)


def test_how_many_of_the_lines_are_futile_is_told():
    code = "import tango\nA = tango.DeviceProxy('a/b/c')\nA.x = 1\nA.y = 2\n"
    assert reason_of(code).startswith("lines 3 and 4 write channels, all of them through what reaches nothing from")
    code += "from osprey_executor import runtime\nruntime.write_channel('C:SP', 1)\n"
    assert reason_of(code).startswith("line 3 and 2 other lines write channels, 2 of them through what reaches nothing")
