"""What a write to an IOC costs with all that the broker does for it, against a put by the library itself."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from _live import Loop, ask, opened, service
from _measure import Cost, Subject, interleave
from _plainly import TYPICAL, results_of
from _reads import ioc, settings, surroundings
from _reads_ioc import NAMES
from _report import Line, against, cost

from osprey_executor import PythonExecutorService

_CHANNEL = NAMES[0]
_TIMES = 40
_MEASURE = f"""{TYPICAL}
values = iter(range(1000))
def write():
    put(float(next(values)))
write()  # from here on it is connected
results = {{"write": typical(write, {_TIMES})}}
"""
PYEPICS = f"""
import epics
def put(value):
    assert epics.caput({_CHANNEL!r}, value, wait=True, timeout=20) == 1
{_MEASURE}"""
RUNTIME = f"""
from osprey_executor.runtime import write_channel
def put(value):
    write_channel({_CHANNEL!r}, value)
{_MEASURE}"""
DIRECT = "pyepics, caput(wait=True) direct"


def writes(rounds: int) -> list[Line]:
    """Measure approved runs of many writes: lease, quarantine, conflict, journal, put and read-back for each."""
    missing = [name for name in ("softioc", "epics") if find_spec(name) is None]
    if missing:
        return [Line("writes", "all", None, "ms", note=f"not installed: {', '.join(missing)}")]
    inside = {"write_channel, approved": RUNTIME, "the same caput by the CA gateway, approved": PYEPICS}
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-writes-")))
        ports = stack.enter_context(ioc())
        control = settings("epics", ports["ca"])["control_system"] | {"writes_enabled": True}
        subjects: dict[str, Subject] = {DIRECT: lambda: Cost(results_of(PYEPICS, surroundings(ports))["write"], 0.0)}
        for number, (what, code) in enumerate(inside.items()):
            opening = service(temporary / str(number), code, {"control_system": control})
            loop, serving = stack.enter_context(opened(opening))
            subjects[what] = lambda loop=loop, serving=serving: _typical(loop, serving)
        costs = interleave(subjects, rounds)
    return [
        *cost("writes, one channel", costs, baseline=DIRECT),
        *(against("writes, one channel", what, costs, DIRECT, 0.5) for what in inside),
    ]


def _typical(loop: Loop, serving: PythonExecutorService) -> Cost:
    return Cost(loop.wait(ask(serving, _TIMES + 1)).results["write"], 0.0)
