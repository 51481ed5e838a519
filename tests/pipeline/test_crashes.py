"""`kill -9` at the worst moments: nothing is lost, nothing is executed twice, and what is not known is said."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from osprey_executor import Approve, Edit, Reject, RunStatus
from osprey_executor.models import MachineEffects
from osprey_executor.pipeline.checkpoints import open_checkpoints
from osprey_executor.storage import RunStore

from .conftest import WRITE, OpenService, own, settings

CHILD = """
import asyncio, json, sys
from pathlib import Path
from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService

async def main():
    home, config, code, approve = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], sys.argv[4] == "approve"
    async with PythonExecutorService.from_config(config, home=home) as service:
        async def decide(card):
            print("asked", flush=True)
            if approve:
                return Approve(card.digest)
            await asyncio.Event().wait()
        async for event in service.stream(PythonExecutionRequest(user_query="t", code=code), decide=decide):
            if event.kind == "stage":
                print(event.stage, flush=True)
                stage = event.stage
            if event.kind == "output" and stage == sys.argv[5]:
                print(event.text, flush=True)

asyncio.run(main())
"""

SLOW_WRITE = textwrap.dedent("""
    import time
    from osprey_executor.runtime import write_channel
    write_channel("MAG:1:SP", 1.5)
    print("written", flush=True)
    time.sleep(120)
""")


BRIEF = settings(approval__rehearsal_timeout=0.2)
"""A rehearsal of a program that goes on after its write is soon over."""


def killed_after(line: str, home: Path, code: str, *, approve: bool, stage: str = "execution") -> None:
    """Run a service in a process of its own and kill it when it has printed `line` in that stage."""
    decides = "approve" if approve else "wait"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), json.dumps(BRIEF), code, decides, stage],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        for said in child.stdout:
            if said.strip() == line:
                break
        else:
            pytest.fail(f"the service ended with {child.wait()} before it said {line!r}")
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()


async def test_killed_while_it_waits_then_approved_elsewhere(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_after, "asked", home, WRITE, approve=False)
    # Another configuration: what counts is the one that was stored with the run.
    async with open_service(control_system__writes_enabled=False) as service:
        [card] = await service.pending()
        result = await service.decide(card.run_id, Approve(card.digest), approver="bob")
    assert result.error is None
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.WRITTEN
    assert result.approver == "bob"


async def test_killed_while_it_writes_is_unknown_and_not_executed_again(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_after, "written", home, SLOW_WRITE, approve=True)
    async with open_service() as service:
        [row] = await service.runs()
        assert row.state == "outcome_unknown"
        result = await service.result(row.run_id)
        assert result.effects is MachineEffects.WRITTEN
        assert [(write.channel, write.confirmed) for write in result.writes] == [("MAG:1:SP", True)]
        assert result.stdout == "written\n"
        assert await service.pending() == []
        events = [event async for event in service.watch(row.run_id)]
    executions = [event for event in events if event.kind == "stage" and event.stage == "execution"]
    assert len(executions) == 1


async def test_killed_while_it_only_reads_is_failed_without_effects(home: Path, open_service: OpenService) -> None:
    code = "import time\nprint('reading', flush=True)\ntime.sleep(120)"
    await asyncio.to_thread(killed_after, "reading", home, code, approve=True, stage="rehearsal")
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
    assert (row.state, result.effects) == ("failed", MachineEffects.NONE)
    assert result.error is not None
    assert "died" in result.error.message


async def test_an_approval_whose_process_died_is_gone_on_with(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_after, "asked", home, WRITE, approve=False)
    async with RunStore.open(home) as store:
        [card] = await store.pending()
        await store.decide(card.run_id, Approve(card.digest), by="ada")
    async with open_service() as service:
        result = await service.decide(card.run_id, Approve(card.digest), approver="bob")
    assert result.status is RunStatus.SUCCEEDED
    assert result.approver == "ada"


KILL = """
import os, signal, sys
from osprey_executor.storage import RunStore

def dying(point):
    when, _, name = point.rpartition(" ")
    name, _, times = name.partition("#")
    original, left = getattr(RunStore, name), int(times or 1)

    async def method(self, *args, **kwargs):
        nonlocal left
        left -= 1
        if left or when != "before":
            await original(self, *args, **kwargs)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(RunStore, name, method)

dying(sys.argv.pop())
"""


def killed_at(method: str, home: Path, code: str) -> None:
    """Run a service that approves everything, and kill it right after (or "before ...") a method of its store.

    `end_execution#2` is the second call: the first one ends the rehearsal.
    """
    arguments = [str(home), json.dumps(settings()), code, "approve", "", method]
    child = subprocess.run([sys.executable, "-c", KILL + CHILD, *arguments], capture_output=True, timeout=60)
    assert child.returncode == -signal.SIGKILL, child.stderr


async def test_killed_between_the_end_of_a_write_and_its_checkpoint(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_at, "end_execution#2", home, WRITE)
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.WRITTEN
    assert result.results == {"value": 1.5}


@pytest.mark.parametrize("method", ["begin_execution", "end_execution", "before add_card"])
async def test_killed_in_its_rehearsal_it_wrote_nothing(home: Path, open_service: OpenService, method: str) -> None:
    await asyncio.to_thread(killed_at, method, home, WRITE)
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
        assert await service.pending() == []
    assert (row.state, result.effects, result.writes) == ("failed", MachineEffects.NONE, ())
    assert result.error is not None
    assert "wrote nothing" in result.error.message


async def test_killed_after_the_start_was_recorded(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_at, "begin_execution#2", home, WRITE)
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
    assert (row.state, result.effects) == ("outcome_unknown", MachineEffects.NONE)


@pytest.mark.parametrize("method", ["decide", "add_card", "before begin_execution#2"])
async def test_an_approval_around_a_crash_is_not_lost(home: Path, open_service: OpenService, method: str) -> None:
    await asyncio.to_thread(killed_at, method, home, WRITE)
    async with open_service() as service:
        [card] = await service.pending()
        result = await service.decide(card.run_id, Approve(card.digest), approver="bob")
        assert await service.pending() == []
    assert result.error is None
    assert result.status is RunStatus.SUCCEEDED
    assert result.digest == card.digest


async def test_a_stranded_approval_may_be_taken_back(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_at, "decide", home, WRITE)
    async with open_service() as service:
        [card] = await service.pending()
        result = await service.decide(card.run_id, Reject("not any more"), approver="bob")
    assert result.status is RunStatus.REJECTED
    assert result.effects is MachineEffects.NONE


async def test_cancelling_a_run_whose_driver_died_tells_what_it_did(home: Path, open_service: OpenService) -> None:
    async with open_service() as service:  # opened before the crash, so nothing was set right yet
        await asyncio.to_thread(killed_after, "written", home, SLOW_WRITE, approve=True)
        async with RunStore.open(home) as store:
            [row] = await store.summaries()
        result = await service.cancel(row.run_id)
    assert result.status is RunStatus.OUTCOME_UNKNOWN
    assert result.effects is MachineEffects.WRITTEN
    assert [write.channel for write in result.writes] == ["MAG:1:SP"]


@pytest.mark.parametrize("method", ["add_card", "decide", "before begin_execution#2"])
@pytest.mark.parametrize("answer", [Reject("no"), Edit("results = {'edited': True}")])
async def test_other_decisions_around_a_crash_count(
    home: Path, open_service: OpenService, method: str, answer: Reject | Edit
) -> None:
    await asyncio.to_thread(killed_at, method, home, WRITE)
    async with open_service() as service:
        [card] = await service.pending()
        result = await service.decide(card.run_id, answer, approver="bob")
    if isinstance(answer, Reject):
        assert result.status is RunStatus.REJECTED
    else:
        assert result.results == {"edited": True}
    assert result.effects is MachineEffects.NONE


async def test_a_damaged_run_keeps_nobody_from_being_set_right(home: Path, open_service: OpenService) -> None:
    for _ in range(3):
        await asyncio.to_thread(killed_at, "begin_execution#2", home, WRITE)
    with sqlite3.connect(home / "index.sqlite") as db:  # each child has set right what the one before it left
        db.execute("UPDATE runs SET state = 'running', finished_at = NULL")
        db.execute("UPDATE executions SET finished_at = NULL")
    db.close()
    async with RunStore.open(home) as store:
        runs = [row.run_id for row in await store.summaries()]
    folders = [home / "runs" / run_id for run_id in runs]
    (folders[0] / "journal.jsonl").write_text('{"event": "sent", "write": [1]}\n' + "[" * 100_000)
    (folders[1] / "request.json").write_text("{")
    shutil.rmtree(folders[2])
    async with open_service() as service:
        states = {row.run_id: (row.state, row.effects) for row in await service.runs()}
    assert states[runs[0]] == ("outcome_unknown", MachineEffects.UNKNOWN)
    assert states[runs[1]] == ("outcome_unknown", MachineEffects.NONE)
    assert states[runs[2]] == ("outcome_unknown", MachineEffects.UNKNOWN)


async def test_damaged_checkpoints_do_not_keep_the_service_shut(home: Path, open_service: OpenService) -> None:
    await asyncio.to_thread(killed_after, "written", home, SLOW_WRITE, approve=True)
    with sqlite3.connect(home / "checkpoints.sqlite") as db:
        db.execute("UPDATE checkpoints SET checkpoint = x'c1ff00'")
    db.close()
    async with open_service() as service:
        [row] = await service.runs()
        assert (row.state, row.effects) == ("outcome_unknown", MachineEffects.WRITTEN)
        assert (await service.run(own("results = {}"))).status is RunStatus.SUCCEEDED


async def test_recovery_judges_results_as_collecting_does(home: Path, open_service: OpenService) -> None:
    code = CHILD.replace("code=code)", "code=code, expected_results={'value': 'float'})")
    arguments = [str(home), json.dumps(settings()), "results = {}", "approve", "", "end_execution"]
    child = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILL + code, *arguments], capture_output=True, timeout=60
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.type == "ResultsError"


async def test_a_checkpoint_holds_primitives_only(home: Path, open_service: OpenService) -> None:
    async with open_service() as service:
        result = await service.run(own(WRITE), decide=lambda card: Approve(card.digest))
        state = await service.ainvoke(own("1 / 0"), {"configurable": {"thread_id": "other"}})
    assert result.status is RunStatus.SUCCEEDED
    for name, value in state.items():
        if name != "result":
            assert type(value) in (str, int, list, dict), name


class Forged:
    """A type that no checkpoint may bring back."""


async def test_a_checkpoint_constructs_nothing(home: Path) -> None:
    home.mkdir(parents=True)
    async with open_checkpoints(home) as saver:
        kind, data = saver.serde.dumps_typed({"path": Path("x"), "number": 1})
        assert kind == "msgpack"
        loaded = saver.serde.loads_typed((kind, data))
        assert loaded["number"] == 1
        with pytest.raises(Exception, match=r"(?i)serializ|type"):
            saver.serde.dumps_typed({"x": Forged()})
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it says, it must not unpickle
            saver.serde.loads_typed(("pickle", b"cos\nsystem\n(S'true'\ntR."))
