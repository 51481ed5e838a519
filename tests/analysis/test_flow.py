"""Names followed through a program: what is written, with which value, in which line."""

import textwrap

import pytest

from osprey_executor.analysis import Site, analyze
from osprey_executor.models import AnalysisReport, Effect, Verdict, WriteTarget


def report_of(code: str) -> AnalysisReport:
    return analyze(textwrap.dedent(code))


def channels(code: str) -> set[str | None]:
    return {target.channel for target in report_of(code).writes}


def test_a_write_has_channel_value_and_line():
    report = report_of(
        """
        import epics
        epics.caput("A:SP", 2 * 0.5, wait=True)
        """
    )
    assert report.writes == (WriteTarget(channel="A:SP", value="2 * 0.5", line=3),)
    (finding,) = report.findings
    assert (finding.rule, finding.line, finding.column, finding.end_line) == ("control/epics-caput", 3, 1, 3)
    assert report.verdict is Verdict.ASK
    assert "A:SP" in report.reason


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'A:' + 'SP'", {"A:SP"}),
        ("f'A:{1 + 1:02d}:SP'", {"A:02:SP"}),
        ("'A:%02d:SP' % 7", {"A:07:SP"}),
        ("'A:{}:{kind}'.format(3, kind='SP')", {"A:3:SP"}),
        ("':'.join(['A', 'B'])", {"A:B"}),
        ("'PS:A'[::-1]", {"A:SP"}),
        ("'a:sp'.upper()", {"A:SP"}),
        ("f'A:{unknown}:SP'", {"A:*:SP"}),
        ("'A:%s:%s' % (unknown, 'SP')", {"A:*:SP"}),
        ("'A:' + unknown", {"A:*"}),
        ("unknown", {None}),
        ("unknown + other", {None}),
        ("'A:SP' if unknown else 'B:SP'", {"A:SP", "B:SP"}),
        ("names[1]", {"B:SP"}),
        ("names[unknown]", {"A:SP", "B:SP"}),
        ("table['first']", {"C:SP"}),
        ("BASE + ':SP'", {"LTB:SP"}),
    ],
)
def test_channel_names_are_computed(expression: str, expected: set[str | None]):
    assert (
        channels(
            f"""
            from epics import caput
            import mystery
            unknown, other = mystery.a(), mystery.b()
            BASE = "LTB"
            names = ["A:SP", "B:SP"]
            table = dict(first="C:SP")
            caput({expression}, 1)
            """
        )
        == expected
    )


def test_loops_over_constants_name_every_channel():
    code = """
        from epics import caput
        for name in ["A", "B"]:
            for n in range(1, 3):
                caput(f"{name}:{n}", 0)
        """
    assert channels(code) == {"A:1", "A:2", "B:1", "B:2"}


def test_a_counter_that_grows_becomes_a_pattern():
    code = """
        from epics import caput
        n = 0
        while n < 16:
            caput(f"VA:HCM:{n}:SP", 0)
            n += 1
        """
    assert "VA:HCM:*:SP" in channels(code)


def test_a_long_range_becomes_a_pattern():
    code = """
        from epics import caput
        for n in range(5000):
            caput(f"VA:{n}:SP", 0)
        """
    assert channels(code) == {"VA:*:SP"}


def test_functions_and_their_arguments():
    code = """
        import epics

        def setter(kind):
            def write(pv, value):
                getattr(epics, kind)(pv, value)
            return write

        setter("caput")("A", 1)
        (lambda name: setter("caput")(name, 2))("B")
        """
    assert channels(code) == {"A", "B"}


def test_objects_keep_their_channel():
    code = """
        import epics
        class Magnet:
            def __init__(self, name):
                self.pv = epics.PV(name + ":SP")
            def set(self, value):
                self.pv.value = value
        magnets = {name: Magnet(name) for name in ("Q1", "Q2")}
        for magnet in magnets.values():
            magnet.set(3)
        """
    assert channels(code) == {"Q1:SP", "Q2:SP"}


def test_a_name_that_is_bound_anew_is_something_else():
    code = """
        import epics, queue
        box = epics.PV("A")
        reading = box.get()
        box = queue.Queue()
        box.put(reading)
        """
    report = report_of(code)
    assert report.verdict is Verdict.ALLOW
    assert report.effects == {Effect.CONTROL_READ}


def test_a_global_set_later_is_seen_by_a_function_defined_before():
    code = """
        import epics
        def act():
            tool("A", 1)
        tool = print
        act()
        tool = epics.caput
        act()
        """
    assert report_of(code).verdict is Verdict.ASK


def test_text_given_to_exec_is_analysed_as_code():
    report = report_of(
        """
        exec("import epics\\nepics.caput('A', 1)")
        """
    )
    assert report.writes[0].channel == "A"
    assert report.writes[0].line == 2
    assert {Effect.DYNAMIC_CODE, Effect.CONTROL_WRITE} <= report.effects


def test_constant_code_that_does_nothing_is_allowed():
    assert report_of("value = eval('1 + 1')\nexec('x = 3')").verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    "code",
    [
        "exec(input())",
        "import epics\ngetattr(epics, input())('A', 1)",
        "import importlib\nimportlib.import_module(input()).caput('A', 1)",
        "import subprocess, sys\nsubprocess.run(sys.argv[1:])",
        "import pickle, sys\npickle.load(sys.stdin.buffer)",
        "import ctypes\nctypes.CDLL('libca.so')",
        "from somewhere import fetch\nimport epics\nfetch().put(3)",
        "import epics\nimport helper\nhelper.use(epics)",
        "import subprocess\nsubprocess.run(['bash', 'go.sh'])",
    ],
)
def test_what_cannot_be_resolved_asks(code: str):
    assert report_of(code).verdict is Verdict.ASK


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        ("import os\nos.remove('x')", Effect.FILE_DELETE),
        ("open('x', 'w').write('y')", Effect.FILE_WRITE),
        ("from pathlib import Path\nPath('x').write_text('y')", Effect.FILE_WRITE),
        ("import subprocess\nsubprocess.run(['ls'])", Effect.PROCESS),
        ("import os\nos.fork()", Effect.PROCESS),
        ("import requests\nrequests.get('http://x')", Effect.NETWORK),
        ("import epics\nepics.caget('A')", Effect.CONTROL_READ),
        ("eval('1')", Effect.DYNAMIC_CODE),
    ],
)
def test_other_effects_are_found_and_allowed(code: str, effect: Effect):
    report = report_of(code)
    assert effect in report.effects
    assert report.verdict is Verdict.ALLOW
    assert any(one.effect is effect for one in report.findings)


def test_a_computation_has_no_effect():
    report = report_of("import numpy as np\nresults = {'x': np.arange(3).sum()}")
    assert (report.verdict, report.effects, report.findings) == (Verdict.ALLOW, frozenset(), ())


def test_policy_denies_by_effect_and_by_rule():
    code = "import subprocess\nsubprocess.run(['ls'])"
    assert analyze(code, site=Site(deny=frozenset(["process"]))).verdict is Verdict.DENY
    assert (
        analyze("import epics\nepics.caput('A', 1)", site=Site(deny=frozenset(["control/epics-caput"]))).verdict
        is Verdict.DENY
    )
    assert analyze(code, site=Site(deny=frozenset(["network"]))).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("command", "channel"),
    [
        ("['caput', '-c', '-w', '5', 'A:SP', '1']", "A:SP"),
        ("['caput', '-w5', 'A:SP', '1']", "A:SP"),
        ("['pvput', '-p', 'pva', 'A:SP', '1']", "A:SP"),
        ("['pvput', '-r', 'field(value)', name, '1']", None),
    ],
)
def test_the_channel_of_a_command_is_none_of_its_options(command: str, channel: str | None):
    assert channels(f"import subprocess\nsubprocess.run({command})") == {channel}


def test_a_component_is_named_by_the_prefix_of_its_device_and_its_own_suffix():
    code = """
from ophyd import Component as Cpt, Device, EpicsSignal, FormattedComponent as FCpt

class Axis(Device):
    low = Cpt(EpicsSignal, "LOW")
    high = FCpt(EpicsSignal, "{prefix}HIGH")
    other = FCpt(EpicsSignal, "{self.line}:OTHER")

class Slit(Device):
    gap = Cpt(Axis, "GAP:")

for name in ("A:", "B:"):
    axis = Axis(name, name="axis")
    axis.low.put(1)
    axis.high.put(1)
axis.other.put(1)
Slit("C:", name="slit").gap.low.put(1)
"""
    # Objects of one class share what they were made with: nobody writes `*GAP:HIGH`.
    assert channels(code) == {"A:LOW", "B:LOW", "A:HIGH", "B:HIGH", "*GAP:LOW", "*GAP:HIGH", None}


def test_a_lambda_of_a_class_is_a_method_and_one_of_an_object_is_not():
    code = """
import epics
T = type("T", (), {"send": lambda me, name: epics.caput(name, 1)})
T().send("A")
class C:
    send = lambda me, name: epics.caput(name, 1)
    def __init__(self):
        self.other = lambda name: epics.caput(name, 1)
C().send("B")
C().other("C")
"""
    assert channels(code) == {"A", "B", "C"}


def test_a_signal_of_an_annotation_is_named_by_its_suffix_and_one_that_is_given_by_what_was_given():
    code = """
from dataclasses import dataclass
from typing import Annotated as A
from epics import PV
from ophyd_async.core import SignalRW, SignalX, StandardReadable
from ophyd_async.epics.core import PvSuffix

class Furnace(StandardReadable):
    setpoint: A[SignalRW[float], PvSuffix("SP")]
    start: A[SignalX, PvSuffix("START")]

@dataclass
class Knob:
    pv: PV

async def main(furnace: Furnace):
    furnace = Furnace()
    await furnace.setpoint.set(1.0)
    await furnace.start.trigger()
    Knob(PV("A:SP")).pv.put(1)
"""
    assert channels(code) == {"*SP", "*START", "A:SP"}


@pytest.mark.parametrize(
    "code",
    [
        "import epics\nmatch epics:\n    case object(caput=write): write('X', 1)\n",
        "import epics\nmatch {'p': epics.PV('X')}:\n    case {'p': found}: found.put(1)\n",
        "import epics\nmatch [epics.PV('X')]:\n    case [found] | (found, _): found.put(1)\n",
        "import epics\nmatch epics.PV('X'):\n    case epics.PV(put=write): write(1)\n",
    ],
)
def test_what_a_pattern_takes_is_followed(code: str) -> None:
    assert [target.channel for target in analyze(code).writes] == ["X"]
