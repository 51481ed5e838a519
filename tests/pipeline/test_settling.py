"""A write that was never confirmed closes its channel until a person has looked; what they saw is what is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.errors import InvalidDecision, InvalidRequestError, OutcomeUnknownError
from osprey_executor.models import ApprovalCard, MachineEffects, RunResult, Settled
from osprey_executor.pipeline.settling import look
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunLock, RunStore

from .conftest import OpenService, own
from .machine import Machine, machine_with
from .test_kills import nursery

WRITE = "from osprey_executor.runtime import write_channel\nwrite_channel('K:0', {value})"
MANY = """
from osprey_executor.runtime import write_channel
print("begun", flush=True)
for step in range(300):
    write_channel("K:0", step)
"""


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncGenerator[Machine]:
    async with machine_with(2, tmp_path) as started:
        yield started


@pytest.fixture
async def service(machine: Machine, home: Path) -> AsyncGenerator[PythonExecutorService]:
    async with PythonExecutorService.from_config(machine.config(), home=home) as opened:
        yield opened


async def lost_write(service: PythonExecutorService, machine: Machine) -> RunResult:
    """Let the IOC hang in the middle of a write, and cancel the run: nobody knows whether the write arrives."""
    broker = (await service._executor.equipment.of(service.config)).broker
    original, sent = broker.connector.write, asyncio.Event()

    async def stop_then_write(channel: str, value: Any) -> Any:
        machine.stop()
        sent.set()
        return await original(channel, value)

    broker.connector.write = stop_then_write  # pyright: ignore[reportAttributeAccessIssue]
    running = asyncio.create_task(service.run(own(WRITE.format(value=2.0)), decide=approve))
    try:
        await asyncio.wait_for(sent.wait(), 60)
        await asyncio.sleep(0.2)  # the request is on its way
        [row] = await service.runs()
        result = await service.cancel(row.run_id)
        await asyncio.wait({running})
    finally:
        broker.connector.write = original  # pyright: ignore[reportAttributeAccessIssue]
        machine.go_on()
    return result


async def test_a_lost_write_closes_its_channel_also_when_it_lands_later(
    service: PythonExecutorService, machine: Machine, home: Path
) -> None:
    lost = await lost_write(service, machine)
    assert (lost.status, lost.effects) == (RunStatus.OUTCOME_UNKNOWN, MachineEffects.UNKNOWN)
    while machine.arrived().get("K:0") != [2.0]:  # it lands when the IOC goes on
        await asyncio.sleep(0.05)
    refused = await service.run(own(WRITE.format(value=3.0)), decide=approve)
    assert refused.status is RunStatus.REFUSED
    assert f"run {lost.run_id} arrived; look at the machine, then `osprey-executor settle" in str(refused.error)
    read = await service.run(
        own("from osprey_executor.runtime import read_channel\nresults = {'k': read_channel('K:0')}")
    )
    assert read.results == {"k": 2.0}
    other = WRITE.format(value=3.0).replace("K:0", "K:1")
    assert (await service.run(own(other), decide=approve)).status is RunStatus.SUCCEEDED

    seen = await service.unsettled(lost.run_id[:-1])
    [write] = seen.writes
    assert (write.channel, write.previous, write.value, write.present) == ("K:0", "-1.0", "2.0", "2.0")
    assert write.outcome is Settled.WRITTEN
    settled = await service.settle(seen, by="ada")
    assert (settled.by, settled.effects) == ("ada", MachineEffects.WRITTEN)

    told = await service.result(lost.run_id)
    assert (told.status, told.effects) == (RunStatus.OUTCOME_UNKNOWN, MachineEffects.WRITTEN)
    assert [(write.confirmed, write.settled) for write in told.writes] == [(False, Settled.WRITTEN)]
    assert told.notes[-1].startswith("K:0: written, settled by ada at ")
    rows = {row.run_id: row.effects for row in await service.runs()}
    assert rows[lost.run_id] is MachineEffects.WRITTEN
    [last] = [json.loads(line) for line in (told.folder / "journal.jsonl").read_text().splitlines()][-1:]
    assert (last["event"], last["by"], last["seen"]) == ("settled", "ada", "2.0")
    assert "settled: written" in (told.folder / "notebook.ipynb").read_text()
    for file in RunFolder(home, lost.run_id).manifest().files:
        assert hashlib.sha256((told.folder / file.path).read_bytes()).hexdigest() == file.sha256, file.path
    assert (await service.run(own(WRITE.format(value=3.0)), decide=approve)).status is RunStatus.SUCCEEDED
    assert machine.arrived()["K:0"] == [2.0, 3.0]
    with pytest.raises(InvalidDecision, match="settled meanwhile"):
        await service.settle(seen, by="bob")
    assert (await service.unsettled(lost.run_id)).writes == ()


async def test_what_cannot_be_read_is_settled_as_unknown(
    service: PythonExecutorService, machine: Machine, home: Path
) -> None:
    lost = await lost_write(service, machine)
    (lost.folder / "journal.jsonl").write_text("{")  # and nobody can say which write it was
    async with RunStore.open(home) as store:
        await store._db.execute("UPDATE quarantine SET channel = '*', value = NULL")
    seen = await service.unsettled(lost.run_id)
    assert "neither its journal nor its card" in seen.writes[0].unreadable
    settled = await service.settle(seen, by="ada")
    told = await service.result(lost.run_id)
    assert settled.effects is told.effects is MachineEffects.UNKNOWN
    assert "*: unknown, settled by ada" in told.notes[-1]
    assert (await service.run(own(WRITE.format(value=3.0)), decide=approve)).status is RunStatus.SUCCEEDED


async def test_a_settlement_that_cannot_be_recorded_leaves_the_channel_closed(
    service: PythonExecutorService, machine: Machine
) -> None:
    lost = await lost_write(service, machine)
    seen = await service.unsettled(lost.run_id)
    lock = RunLock(lost.folder)
    assert lock.acquire()
    with lock, pytest.raises(InvalidDecision, match="settled by somebody else"):
        await service.settle(seen, by="bob")
    journal = lost.folder / "journal.jsonl"
    journal.rename(journal.with_name("kept"))
    journal.mkdir()
    with pytest.raises(Exception, match="journal"):
        await service.settle(seen, by="ada")
    journal.rmdir()
    journal.with_name("kept").rename(journal)
    assert len((await service.unsettled(lost.run_id)).writes) == 1
    assert (await service.settle(seen, by="ada")).by == "ada"


def killed_in_a_write(machine: Machine, home: Path) -> None:
    """Let the IOC hang until a write waits for it, and kill the service that waits."""
    with nursery() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(home), machine.config(), MANY]) + "\n")
        process.stdin.flush()
        service = int(process.stdout.readline())
        while "begun" not in process.stdout.readline():
            pass
        waits = False
        while not waits:
            time.sleep(0.05)
            machine.stop()
            time.sleep(0.05)
            last = [path.read_text().splitlines()[-1:] for path in home.glob("runs/*/journal.jsonl")]
            waits = any('"sent"' in line for lines in last for line in lines)
            if waits:
                os.kill(service, signal.SIGKILL)
            machine.go_on()
        while not process.stdout.readline().startswith("ended"):
            pass


async def test_a_killed_writer_is_found_by_the_next_one_and_what_it_left_open_is_closed(
    service: PythonExecutorService, machine: Machine, home: Path
) -> None:
    """The service was open before the crash, so nobody has looked since: the lease itself tells of it."""
    await service.run(own("results = {}"))  # its engine and its machine are open
    await asyncio.to_thread(killed_in_a_write, machine, home)
    async with RunStore.open(home) as store:
        [dead] = await store.summaries(state="running")
        with pytest.raises(InvalidRequestError, match="is going on"):
            await look(store, service._executor.equipment, dead.run_id)
    other = WRITE.format(value=3.0).replace("K:0", "K:1")
    result = await service.run(own(other), decide=approve)
    assert result.status is RunStatus.SUCCEEDED, result.error
    assert [write.channel for write in (await service.unsettled(dead.run_id)).writes] == ["K:0"]
    refused = await service.run(own(WRITE.format(value=3.0)), decide=approve)
    assert refused.status is RunStatus.REFUSED


async def test_a_damaged_journal_closes_all_that_the_run_was_approved_for(machine: Machine, home: Path) -> None:
    """A power cut may leave the last line in pieces, and nobody can say of which write it was."""
    await asyncio.to_thread(killed_in_a_write, machine, home)
    [journal] = home.glob("runs/*/journal.jsonl")
    with journal.open("a") as file:
        file.write('{"event": "inten')
    async with PythonExecutorService.from_config(machine.config(), home=home) as service:
        [row] = await service.runs()
        assert (row.state, row.effects) == ("outcome_unknown", MachineEffects.UNKNOWN)
        [write] = (await service.unsettled(row.run_id)).writes
        assert (write.channel, write.value, write.outcome) == ("K:0", None, Settled.UNKNOWN)
        assert write.present is not None


async def test_nothing_to_settle(service: PythonExecutorService) -> None:
    done = await service.run(own("results = {}"))
    seen = await service.unsettled(done.run_id)
    assert (seen.writes, seen.effects) == ((), MachineEffects.NONE)
    with pytest.raises(InvalidDecision):
        await service.settle(seen)


async def test_a_simulated_machine_is_looked_at_where_it_lives(open_service: OpenService) -> None:
    async with open_service() as here, open_service() as there:
        connector = (await here._executor.equipment.of(here.config)).broker.connector
        original = connector.write

        async def unconfirmed(channel: str, value: Any) -> Any:
            await original(channel, value)
            raise OutcomeUnknownError("no confirmation")

        connector.write = unconfirmed  # pyright: ignore[reportAttributeAccessIssue]
        lost = await here.run(own(WRITE.format(value=2.0)), decide=approve)
        connector.write = original  # pyright: ignore[reportAttributeAccessIssue]
        assert lost.effects is MachineEffects.UNKNOWN
        refused = await here.run(own(WRITE.format(value=3.0)), decide=approve)
        assert refused.status is RunStatus.REFUSED
        # That channel of the other machine is another one.
        assert (await there.run(own(WRITE.format(value=3.0)), decide=approve)).status is RunStatus.SUCCEEDED
        [far] = (await there.unsettled(lost.run_id)).writes
        assert "simulated machine" in far.unreadable
        seen = await here.unsettled(lost.run_id)
        assert [(write.present, write.outcome) for write in seen.writes] == [("2.0", Settled.WRITTEN)]
        await here.settle(seen)
        assert (await here.run(own(WRITE.format(value=3.0)), decide=approve)).status is RunStatus.SUCCEEDED
