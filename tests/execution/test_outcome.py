"""The monitor's word stands above the program's."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from osprey_executor.errors import ErrorCategory, WriteRefused
from osprey_executor.execution import Engine, Program
from osprey_executor.execution.guest_link import GuestError, GuestReport
from osprey_executor.execution.local._outcome import Case, Cut, judge
from osprey_executor.execution.local._sandbox import Ending, Exceeded
from osprey_executor.models import Limits, MachineEffects, Reading, Refusal, RunStatus, Write

FINISHED = GuestReport(started=True, finished=True)
FAILED = GuestReport(started=True, finished=True, error=GuestError("ValueError", "bad", "Traceback", 2))
REFUSED = GuestReport(started=True, finished=True, error=GuestError("WriteRefused", "no", None, 1))
GONE = GuestReport(started=True)


class Session:
    """A control session that refuses every write."""

    def __init__(self, effects: MachineEffects = MachineEffects.NONE, refusals: int = 0) -> None:
        self.effects = effects
        self.refusals: list[Refusal] = [Refusal(channel="A", value="1", reason="no")] * refusals
        self.writes: Sequence[Write] = ()
        self.reads: Sequence[Reading] = ()

    async def read(self, channels: Sequence[str], line: int | None = None) -> Mapping[str, Reading]:
        return {name: Reading(channel=name, value=1.0) for name in channels}

    async def write(self, values: Mapping[str, Any], line: int | None = None) -> None:
        for channel, value in values.items():
            self.refusals.append(Refusal(channel=channel, value=str(value), reason="not approved", line=line))
            raise WriteRefused(f"{channel} is not approved")

    async def declare_writes(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Take no note."""


def case(ending: Ending, report: GuestReport, cut: Cut | None = None, control: Session | None = None) -> Case:
    return Case("x = 1\ny = 2\n", Limits(timeout=5, memory=1 << 20), ending, cut, report, control)


@pytest.mark.parametrize(
    ("ending", "report", "cut", "status", "words"),
    [
        (Ending(0), FINISHED, None, RunStatus.SUCCEEDED, ""),
        (Ending(0), GONE, None, RunStatus.FAILED, "os._exit"),
        (Ending(4), GONE, None, RunStatus.FAILED, "exit code 4"),
        (Ending(4), FINISHED, None, RunStatus.FAILED, "exit code 4"),
        (Ending(1), FAILED, None, RunStatus.FAILED, "ValueError: bad (line 2)"),
        (Ending(0), FAILED, None, RunStatus.FAILED, "ValueError: bad"),
        (Ending(None), FINISHED, Cut.TIMEOUT, RunStatus.TIMED_OUT, "time limit of 5 s"),
        (Ending(0), FINISHED, Cut.STDOUT, RunStatus.FAILED, "output limit 10 MiB exceeded on standard output"),
        (Ending(None, Exceeded("memory", 2 << 20)), GONE, None, RunStatus.FAILED, "memory limit 1 MiB exceeded"),
        (Ending(None, Exceeded("processes", 300)), GONE, None, RunStatus.FAILED, "process limit 256 exceeded"),
        (Ending(None, Exceeded("cpu_time", 21)), GONE, None, RunStatus.FAILED, "CPU time limit 20 s exceeded"),
        (Ending(-signal.SIGXCPU), GONE, None, RunStatus.FAILED, "CPU time limit 20 s"),
        (Ending(-signal.SIGSEGV), FINISHED, None, RunStatus.FAILED, "SIGSEGV"),
        (Ending(-60), GONE, None, RunStatus.FAILED, "signal 60"),
        (Ending(0), GuestReport(True, True, violation="junk"), None, RunStatus.FAILED, "interfered"),
        (Ending(None), GONE, None, RunStatus.FAILED, "from outside"),
    ],
)
def test_each_end_has_its_status(
    ending: Ending, report: GuestReport, cut: Cut | None, status: RunStatus, words: str
) -> None:
    found = judge(case(ending, report, cut))
    assert found.status is status
    assert (found.error is None) == (status is RunStatus.SUCCEEDED)
    assert words in str(found.error)


def test_a_failing_line_is_quoted() -> None:
    error = judge(case(Ending(1), FAILED)).error
    assert error is not None
    assert (error.line, error.source_line, error.traceback) == (2, "y = 2", "Traceback")


def test_a_line_that_is_not_there_is_not_believed() -> None:
    report = GuestReport(True, True, error=GuestError("E", "m", None, 99))
    error = judge(case(Ending(1), report)).error
    assert error is not None
    assert (error.line, error.source_line) == (None, None)


def test_refused_needs_a_refusal_of_the_broker() -> None:
    assert judge(case(Ending(1), REFUSED, control=Session(refusals=1))).status is RunStatus.REFUSED
    assert judge(case(Ending(1), REFUSED, control=Session())).status is RunStatus.FAILED
    assert judge(case(Ending(1), REFUSED)).status is RunStatus.FAILED


def test_an_unknown_write_makes_an_abnormal_end_unknown() -> None:
    unknown = Session(MachineEffects.UNKNOWN)
    found = judge(case(Ending(None), GONE, Cut.TIMEOUT, unknown))
    assert found.status is RunStatus.OUTCOME_UNKNOWN
    assert found.error is not None
    assert judge(case(Ending(0), FINISHED, control=unknown)).status is RunStatus.SUCCEEDED


async def test_an_uncaught_refusal_makes_the_run_refused(engine: Engine) -> None:
    session = Session()
    code = "from osprey_executor import runtime\nprint(runtime.read_channel('A'))\nruntime.write_channel('A', 2)"
    outcome = await engine.run(Program(code=code), control=session)
    assert outcome.status is RunStatus.REFUSED
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.line) == ("WriteRefused", 3)
    assert outcome.error.category is ErrorCategory.WORKFLOW
    assert [refusal.line for refusal in session.refusals] == [3]


async def test_a_caught_refusal_is_no_failure(engine: Engine) -> None:
    session = Session()
    code = """
from osprey_executor import runtime
try:
    runtime.write_channel("A", 2)
except Exception as error:
    results = {"why": str(error)}
"""
    outcome = await engine.run(Program(code=code), control=session)
    assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    assert outcome.results == {"why": "A is not approved"}
    assert len(session.refusals) == 1
