"""One writing run at a time: the second one is refused before it begins, and told whom to wait for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.models import ApprovalCard, MachineEffects, RunResult
from osprey_executor.models.events import Event, Finished
from osprey_executor.storage import RunStore

from .conftest import WRITE, OpenService, own

BRIEF = {"approval__rehearsal_timeout": 0.2}
"""A rehearsal of a program that goes on after its write is soon over."""
HOLD = """
import time
from osprey_executor.runtime import write_channel
write_channel("{channel}", 1.0)
print("written", flush=True)
time.sleep(120)
"""
TWICE = """
import time
from osprey_executor.runtime import WriteRefused, write_channel
write_channel("MAG:1:SP", 1.0)
print("written", flush=True)
reason = ""
while not reason:
    time.sleep(0.05)
    try:
        write_channel("MAG:1:SP", 2.0)
    except WriteRefused as refused:
        reason = str(refused)
results = {"reason": reason}
"""


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


@asynccontextmanager
async def writing(service: PythonExecutorService, code: str) -> AsyncIterator[asyncio.Task[RunResult]]:
    """Let a run go on that has written already; cancelled at the end."""
    written = asyncio.Event()

    async def follow() -> RunResult:
        async for event in service.stream(own(code), decide=approve):
            note(event)
            if isinstance(event, Finished):
                return event.result
        raise AssertionError("a stream without an end")

    stage = ""

    def note(event: Event) -> None:
        nonlocal stage
        if event.kind == "stage":
            stage = event.stage
        if event.kind == "output" and "written" in event.text and stage == "execution":
            written.set()

    task = asyncio.create_task(follow())
    try:
        await asyncio.wait_for(written.wait(), 60)
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_second_writer_is_refused_and_nothing_of_it_is_executed(
    open_service: OpenService, home: Path
) -> None:
    async with open_service(**BRIEF) as service:
        async with writing(service, HOLD.format(channel="MAG:2:SP")):
            [first] = await service.runs()
            asked: list[tuple[str, ...]] = []

            async def approve_all_the_same(card: ApprovalCard) -> Approve:
                asked.append(await service.in_the_way(card))
                return approve(card)

            second = await service.run(own(WRITE), decide=approve_all_the_same)
            assert [told.partition(" since ")[0] for told in asked[0]] == [
                f"run {first.run_id} holds this machine for writing"
            ]
            reader = await service.run(own("results = {'sum': 1}"))
        assert second.status is RunStatus.REFUSED
        assert second.error is not None
        assert second.error.type == "MachineBusyError"
        assert f"run {first.run_id} holds this machine" in second.error.message
        assert second.effects is MachineEffects.NONE
        assert second.attempts[0].status is None  # it never ran
        assert not (second.folder / "journal.jsonl").exists()
        assert reader.status is RunStatus.SUCCEEDED
        # The canary: the same program once the first one has ended.
        assert (await service.run(own(WRITE), decide=approve)).status is RunStatus.SUCCEEDED
    with closing(sqlite3.connect(home / "index.sqlite")) as db:
        assert db.execute("SELECT redeemed_at FROM cards WHERE run_id = ?", (second.run_id,)).fetchone() == (None,)
        assert db.execute("SELECT count(*) FROM leases").fetchone() == (0,)


async def test_concurrent_writers_collide_in_their_channels_only(open_service: OpenService) -> None:
    async with (
        open_service(control_system__concurrent_writers=True, **BRIEF) as service,
        writing(service, HOLD.format(channel="MAG:2:SP")),
    ):
        waiting = await service.run(own(WRITE))
        card = await service.card(waiting.run_id)
        assert await service.in_the_way(card) == ()
        assert (await service.decide(waiting.run_id, approve(card))).status is RunStatus.SUCCEEDED
        same = await service.run(own(WRITE.replace("MAG:1:SP", "MAG:2:SP.VAL")), decide=approve)
    assert same.status is RunStatus.REFUSED
    assert same.error is not None
    assert same.error.type == "MachineBusyError"
    assert "holds MAG:2:SP for writing" in same.error.message


async def test_a_concurrent_writer_holds_the_channels_of_its_stop_actions(
    open_service: OpenService, tmp_path: Path
) -> None:
    """The canary is the test above: without a stop action these channels have nothing to do with each other."""
    limits = tmp_path / "limits.yml"
    limits.write_text("MAG:2:SP: {stop_action: {channel: 'MAG:1:SP', value: 0}}\nMAG:1:SP: {}\nMAG:3:SP: {}\n")
    config = {"control_system__concurrent_writers": True, "control_system__limits_database": str(limits), **BRIEF}
    async with open_service(**config) as service, writing(service, HOLD.format(channel="MAG:2:SP")):
        waiting = await service.run(own(WRITE))
        card = await service.card(waiting.run_id)
        [told] = await service.in_the_way(card)
        assert "holds MAG:1:SP for writing" in told
        stopping = await service.decide(waiting.run_id, approve(card))
        other = await service.run(own(WRITE.replace("MAG:1:SP", "MAG:3:SP")), decide=approve)
    assert stopping.status is RunStatus.REFUSED
    assert "holds MAG:1:SP for writing" in str(stopping.error)
    assert other.status is RunStatus.SUCCEEDED


async def test_simulated_machines_of_two_services_are_two(open_service: OpenService) -> None:
    async with (
        open_service(**BRIEF) as one,
        open_service(**BRIEF) as other,
        writing(one, HOLD.format(channel="MAG:1:SP")),
    ):
        assert (await other.run(own(WRITE), decide=approve)).status is RunStatus.SUCCEEDED


async def test_a_run_that_lost_its_lease_writes_no_more(open_service: OpenService, home: Path) -> None:
    async with open_service(approval__mode="disabled") as service, writing(service, TWICE) as task:
        with closing(sqlite3.connect(home / "index.sqlite", isolation_level=None)) as db:
            db.execute("DELETE FROM leases")
        result = await asyncio.wait_for(task, 60)
    assert "does not hold the machine any more" in result.results["reason"]
    assert result.refusals


async def test_a_run_whose_folder_went_away_is_taken_for_dead_and_writes_no_more(
    open_service: OpenService, home: Path
) -> None:
    async with open_service(**BRIEF) as service, writing(service, HOLD.format(channel="MAG:1:SP")):
        [row] = await service.runs()
        row.folder.rename(home / "moved")
        assert [one.state for one in await service.runs()] == ["outcome_unknown"]
        async with RunStore.open(home) as store:
            [closed] = await store.quarantine(run_id=row.run_id)
            assert closed.channel == "MAG:1:SP"
            assert closed.value is None
            refused = store.guard.refused(row.run_id, closed.machine, ["MAG:1:SP"])
        (home / "moved").rename(row.folder)
    assert "does not hold" in refused["MAG:1:SP"]


async def test_who_is_not_asked_takes_the_machine_at_the_first_write(open_service: OpenService) -> None:
    waits = "import time\ntime.sleep(0.5)\nresults = {}"
    async with open_service(approval__mode="disabled", **BRIEF) as service:
        both = await asyncio.gather(service.run(own(waits)), service.run(own(waits)))
        assert [one.status for one in both] == [RunStatus.SUCCEEDED] * 2
        async with writing(service, HOLD.format(channel="MAG:2:SP")):
            refused = await service.run(own(WRITE))
        assert refused.status is RunStatus.REFUSED
        assert "holds this machine for writing" in str(refused.error)
        assert refused.effects is MachineEffects.NONE
        assert (await service.run(own(WRITE))).status is RunStatus.SUCCEEDED
