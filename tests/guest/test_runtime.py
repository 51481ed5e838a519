"""The runtime API of a program, end to end: a real worker, the real link, a session of the test's own."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from osprey_executor.errors import ChannelLimitsViolationError, ControlSystemError, OutcomeUnknownError, WriteRefused
from osprey_executor.models import Limits, MachineEffects, Reading


class Session:
    """A control system of dicts that notes what it was asked."""

    effects = MachineEffects.NONE
    writes = refusals = reads = ()

    def __init__(self, delay=0.05, **values):
        self.delay = delay
        self.values = values
        self.written = []
        self.declared = {}
        self.at_once = self.most_at_once = 0

    async def read(self, channels, line=None):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.delay)
        self.at_once -= 1
        for name in channels:
            if name not in self.values:
                raise ControlSystemError(f"no channel {name}")
        return {name: Reading(channel=name, value=self.values[name]) for name in channels}

    async def write(self, values, line=None):
        for name, value in values.items():
            if name == "FORBIDDEN":
                raise WriteRefused(f"{name} is outside the grant")
            if name == "HIGH":
                raise ChannelLimitsViolationError("above the limit")
            if name == "LOST":
                raise OutcomeUnknownError("no confirmation")
            self.written.append((name, value, line))

    async def history(self, channels, start, end, bin=None):
        raise ControlSystemError(f"no history of {channels[0]}")

    async def declare_writes(self, ranges):
        self.declared.update(ranges)


async def test_reading(run):
    session = Session(A=1.5, B="text", C=np.arange(3.0), D=float("nan"), E=np.float32(2), F=2**60)
    ran = await run(
        "from osprey_executor.runtime import *\n"
        "wave = read_channel('C')\n"
        "results = {'one': read_channel('A'), 'many': read_channels(('B', 'D', 'E', 'F')), 'wave': wave,\n"
        "  'kind': type(wave).__name__, 'none': read_channels([])}\n",
        control=session,
    )
    assert ran.report.error is None
    results = ran.report.results
    assert (results["one"], results["kind"], results["none"]) == (1.5, "ndarray", {})
    assert list(results["many"]) == ["B", "D", "E", "F"]
    assert results["many"]["F"] == 2**60
    assert results["wave"].tolist() == [0, 1, 2]


async def test_writing_tells_the_line_and_keeps_the_order(run):
    session = Session()
    ran = await run(
        "import numpy as np\nfrom osprey_executor.runtime import write_channel, write_channels\n"
        "def set_all():\n    write_channels({'B': 2, 'A': np.float64(0.5)})\n"
        "set_all()\nwrite_channel(\n    'W',\n    [0.5] * 100,\n)\n",
        control=session,
    )
    assert ran.report.error is None
    assert session.written == [("B", 2, 4), ("A", 0.5, 4), ("W", [0.5] * 100, 6)]


@pytest.mark.parametrize(
    ("channel", "kind"),
    [("FORBIDDEN", "WriteRefused"), ("HIGH", "ChannelLimitsViolationError"), ("LOST", "OutcomeUnknownError")],
)
async def test_refusals_have_their_class_and_reach_the_report(run, channel, kind):
    ran = await run(
        "from osprey_executor import runtime\n"
        f"try:\n    runtime.write_channel({channel!r}, 1)\n"
        f"except runtime.{kind} as error:\n    print('caught', error)\n"
        f"runtime.write_channel({channel!r}, 2)\n",
        control=Session(),
    )
    assert "caught" in ran.stdout
    assert (ran.report.error.type, ran.report.error.line) == (kind, 6)
    assert "channel.py" not in ran.report.error.traceback


async def test_limits_violation_is_a_refusal(run):
    ran = await run(
        "from osprey.runtime import write_channel, WriteRefused\n"
        "try:\n    write_channel('HIGH', 1)\nexcept WriteRefused:\n    results = {'caught': True}\n",
        control=Session(),
    )
    assert ran.report.results == {"caught": True}


async def test_errors_of_reading(run):
    ran = await run(
        "from osprey_executor.runtime import *\nresults = {}\n"
        "for name, call in {'missing': lambda: read_channel('Z'), 'history': lambda: read_history(['Z'], 0, 1),\n"
        "    'text': lambda: read_channels('A'), 'number': lambda: read_channel(1),\n"
        "    'range': lambda: declare_writes({'A': 1}), 'order': lambda: declare_writes({'A': (2, 1)}),\n"
        "    'publish': lambda: publish([1]), 'object': lambda: write_channel('A', object())}.items():\n"
        "    try:\n        call()\n    except Exception as error:\n"
        "        results[name] = f'{type(error).__name__}: {error}'\n",
        control=Session(A=1),
    )
    results = ran.report.results
    assert results["missing"] == "ControlSystemError: no channel Z"
    assert results["history"] == "ControlSystemError: no history of Z"
    assert [results[name].split(":")[0] for name in ("text", "number", "range", "order", "publish", "object")] == [
        "TypeError",
        "TypeError",
        "TypeError",
        "ValueError",
        "TypeError",
        "ValueError",
    ]


async def test_no_control_system(run):
    ran = await run("from osprey_executor.runtime import read_channel\nread_channel('A')\n")
    assert ran.report.error.type == "ControlSystemError"
    assert "no control system" in ran.report.error.message


async def test_declared_ranges(run):
    session = Session()
    ran = await run(
        "from osprey_executor.runtime import declare_writes\n"
        "declare_writes({'A': (-1, 1.5), 'B': [0, float('inf')]})\n",
        control=session,
    )
    assert ran.report.error is None
    assert session.declared == {"A": (-1.0, 1.5), "B": (0.0, float("inf"))}


async def test_threads_read_at_once(run):
    session = Session(**{f"C{n}": n for n in range(8)})
    ran = await run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from osprey_executor.runtime import read_channel, progress\n"
        "def both(n):\n    progress(n / 8, 'reading')\n    return [read_channel(f'C{n}') for _ in range(5)]\n"
        "with ThreadPoolExecutor(8) as pool:\n    results = {'all': list(pool.map(both, range(8)))}\n",
        control=session,
    )
    assert ran.report.results == {"all": [[n] * 5 for n in range(8)]}
    assert session.most_at_once > 1


INTERRUPTED = """
import signal
from osprey_executor.runtime import read_channel, progress
class Late(Exception): pass
def late(*args):
    progress(0.5, 'from the handler')
    raise Late
signal.signal(signal.SIGALRM, late)
results = {'late': 0, 'read': 0}
for n in range(400):
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + n % 40 * 0.0001)
            assert read_channel('A') == 1
            results['read'] += 1
            progress(n / 400)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Late:
        results['late'] += 1
results['last'] = read_channel('A')
"""


async def test_an_exception_of_a_signal_handler_leaves_the_link_in_step(run):
    ran = await run(INTERRUPTED, control=Session(0.001, A=1))
    assert ran.report.violation is None
    assert ran.report.error is None
    assert ran.report.results["last"] == 1
    assert ran.report.results["late"] > 0


async def test_a_child_process_is_told_that_it_may_not(run):
    ran = await run(
        "import os, osprey_executor.runtime as runtime\nread, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    try:\n        runtime.read_channel('A')\n    except RuntimeError as error:\n"
        "        os.write(write, str(error).encode())\n    os._exit(0)\n"
        "os.wait()\nresults = {'told': os.read(read, 1000).decode(), 'own': runtime.read_channel('A')}\n",
        control=Session(A=5),
    )
    assert "child process" in ran.report.results["told"]
    assert ran.report.results["own"] == 5


async def test_progress_and_publish(run):
    ran = await run(
        "from osprey_executor.runtime import progress, publish\n"
        "progress(0.25, 'first')\nprogress(float('nan'))\nprogress(5, 'x' * 5000)\n"
        "publish({'n': 1})\npublish({'n': 2, 'o': object})\n1 / 0\n"
    )
    assert (ran.progress[0].fraction, ran.progress[0].message) == (0.25, "first")
    assert (ran.progress[-1].fraction, len(ran.progress[-1].message)) == (1.0, 500)
    assert ran.report.published["n"] == 2
    assert "results['o']" in ran.report.problems[0]


async def test_published_results_survive_the_end_of_the_run(run):
    ran = await run(
        "from osprey_executor.runtime import publish\nimport os\npublish({'partial': [1, 2]})\nos._exit(0)\n"
    )
    assert ran.code == 0, "the exit code alone says nothing"
    assert not ran.report.finished
    assert ran.report.published == {"partial": [1, 2]}


async def test_context_holds_arrays_and_tables(run):
    import pandas as pd

    ran = await run(
        "results = {'sum': float(context.orbit.x.sum()), 'rows': len(context.table), 'when': str(context.when)}\n",
        context={
            "orbit": {"x": np.arange(4.0)},
            "table": pd.DataFrame({"a": [1, 2]}),
            "when": pd.Timestamp("2026-01-01", tz="Europe/Berlin"),
        },
    )
    assert ran.report.results == {"sum": 6.0, "rows": 2, "when": "2026-01-01 00:00:00+01:00"}


async def test_a_call_of_too_large_an_array_is_an_error_of_the_program(run):
    session = Session()
    ran = await run(
        "import numpy as np\nfrom osprey_executor.runtime import *\n"
        "write_channel('A', np.zeros(100_000))\n"
        "try: write_channel('A', np.zeros(3_000_000))\n"
        "except ControlSystemError as error: results = {'told': str(error)}\n",
        control=session,
        limits=Limits(results=10_000),
    )
    assert ran.report.violation is None
    assert "is too large: at most 16777216" in ran.report.results["told"]
    assert [len(value) for _, value, _ in session.written] == [100_000], "limits.results does not bound writes"
