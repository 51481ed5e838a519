"""What a person reads when a run has ended."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from osprey_executor.interfaces.cli.ending import finish
from osprey_executor.interfaces.cli.screen import Screen
from osprey_executor.interfaces.cli.summary import run_summary
from osprey_executor.models import (
    Attempt,
    ControlSystemReport,
    Generation,
    MachineEffects,
    ModelCall,
    RunStatus,
    Timings,
    Write,
)

from .fake_service import FOLDER, RUN, result

MOCK = ControlSystemReport(type="mock")
SIMULATOR = ControlSystemReport(type="simulator")
REAL = ControlSystemReport(type="epics", real=True)
WRITES = (Write(channel="A", value="1", confirmed=True),)


def shown(**fields: Any) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(run_summary(result(fields.pop("status", RunStatus.SUCCEEDED), **fields)))
    return captured.get()


@pytest.mark.parametrize(
    ("control", "effects", "writes", "told"),
    [
        (None, MachineEffects.NONE, (), "nothing was written"),
        (MOCK, MachineEffects.NONE, (), "mock: readings are invented; nothing was written"),
        (SIMULATOR, MachineEffects.NONE, (), "simulator; nothing was written"),
        (REAL, MachineEffects.NONE, (), "REAL (epics); nothing was written"),
        (MOCK, MachineEffects.WRITTEN, WRITES, "mock: no machine; written: 1 write to 1 channel, confirmed"),
        (REAL, MachineEffects.WRITTEN, WRITES, "REAL (epics); written: 1 write to 1 channel, confirmed"),
        (REAL, MachineEffects.UNKNOWN, (), "REAL (epics); nobody can say"),
    ],
)
def test_which_machine_and_what_was_done_to_it(
    control: ControlSystemReport | None, effects: MachineEffects, writes: tuple[Write, ...], told: str
) -> None:
    text = shown(control_system=control, effects=effects, writes=writes)
    assert any(line.startswith(f"machine     {told}") for line in text.splitlines())


def test_writes_that_are_not_in_the_record_are_in_the_journal() -> None:
    text = shown(effects=MachineEffects.WRITTEN, writes=())
    assert f"written, see the journal {FOLDER / 'journal.jsonl'}" in text
    assert "0 writes" not in text


def test_the_wait_for_a_person_is_no_time_of_the_run() -> None:
    assert "after 12.3 s\n" in shown()
    timings = Timings(generation=2.0, waiting=794.0, execution=5.25, total=801.2)
    assert "Succeeded after 7.2 s, 5.2 s of them running; waited 794 s for a decision" in shown(timings=timings)
    assert "waited 2 days for a decision" not in shown(timings=Timings(waiting=86400.0, total=86401.0))
    assert "after 1.0 s; waited 24 h for a decision" in shown(timings=Timings(waiting=86400.0, total=86401.0))


def test_isolation_is_told_of_what_ran_only() -> None:
    assert "isolation" not in shown()
    assert "isolation" not in shown(attempts=(Attempt(number=1, code="x"),))
    assert "full (local, proven)" in shown(attempts=(Attempt(number=1, code="x", status=RunStatus.FAILED),))


def test_what_the_models_took_is_told_where_one_was_asked() -> None:
    known = ModelCall(model="anthropic/one", input_tokens=1000, output_tokens=500, cost=0.0123)
    unknown = ModelCall(model="some-server/two\x1b[2J", input_tokens=10, output_tokens=5)
    first, second = (
        Attempt(number=number, code="", generation=Generation(calls=(call,)))
        for number, call in ((1, known), (2, unknown))
    )
    assert "1 request to anthropic/one; 1,500 tokens; 0.012 USD" in shown(attempts=(first,))
    # An attempt that was executed twice was generated once.
    told = shown(attempts=(first, first, second))
    assert "2 requests to anthropic/one, some-server/two\\x1b[2J; 1,515 tokens; cost unknown" in told
    assert "requests to" not in shown()


@pytest.mark.parametrize(
    ("status", "effects", "told"),
    [
        (RunStatus.FAILED, MachineEffects.WRITTEN, True),
        (RunStatus.TIMED_OUT, MachineEffects.WRITTEN, True),
        (RunStatus.FAILED, MachineEffects.NONE, False),
        (RunStatus.SUCCEEDED, MachineEffects.WRITTEN, False),
    ],
)
def test_who_was_cut_short_after_writing_hears_of_restore(
    status: RunStatus, effects: MachineEffects, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(Screen.open(as_json=False), result(status, effects=effects))
    assert (f"osprey-executor restore {RUN} shows" in capsys.readouterr().err) is told
