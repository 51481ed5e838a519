"""Leases and quarantine in the index: one writer at a time, and what has no known end stays closed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from osprey_executor.errors import InvalidDecision, MachineBusyError, OutcomeUnknownError
from osprey_executor.models import MachineEffects, RunStatus, Settled, Settlement, Write
from osprey_executor.storage import Lease, RunStore, WriteGuard

HERE, THERE = "epics 10.0.0.1", "epics 10.0.0.2"
LOST = Write(channel="A", previous="1.0", value="2.0", confirmed=False)


async def add(store: RunStore, *run_ids: str) -> None:
    for run_id in run_ids:
        assert await store.add(run_id, task="t", requester="ada", generator="user", config={})


async def begin(store: RunStore, run_id: str, lease: Lease | None, number: int = 1) -> None:
    await store.begin_execution(run_id, number, may_write=True, digest=None, lease=lease)


async def test_one_run_at_a_time_writes_to_a_machine(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store, RunStore.open(tmp_path) as other:
        await add(store, "r1", "r2", "r3", "r4")
        await begin(store, "r1", Lease(HERE))
        with pytest.raises(MachineBusyError, match="run r1 holds this machine"):
            await begin(other, "r2", Lease(HERE))
        await begin(other, "r3", Lease(THERE))
        await begin(other, "r4", None)  # it reads only
        await store.end_execution("r1", 1)
        await begin(other, "r2", Lease(HERE))


async def test_a_refused_start_leaves_nothing_behind(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2")
        await begin(store, "r1", Lease(HERE))
        with pytest.raises(MachineBusyError):
            await begin(store, "r2", Lease(HERE))
        assert await store.unfinished_execution("r2") is None
        await store.end_execution("r1", 1)
        await begin(store, "r2", Lease(HERE))  # the very same execution


async def test_with_concurrent_writers_only_channels_collide(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2", "r3", "r4")
        await begin(store, "r1", Lease(HERE, ("A", "SR:7:SP")))
        await begin(store, "r2", Lease(HERE, ("B",)))
        with pytest.raises(MachineBusyError, match=r"run r1 holds SR:7:SP\.DRVH"):
            await begin(store, "r3", Lease(HERE, ("C", "SR:7:SP.DRVH")))
        with pytest.raises(MachineBusyError, match="run r"):
            await begin(store, "r4", Lease(HERE))


async def test_a_start_that_was_made_before_takes_no_lease(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1")
        await begin(store, "r1", Lease(HERE))
        await store.end_execution("r1", 1)
        with pytest.raises(OutcomeUnknownError):
            await begin(store, "r1", Lease(HERE))
        assert store.guard.refused("r1", HERE, ["A"])


async def test_an_end_without_an_outcome_gives_the_lease_back(tmp_path: Path) -> None:
    """A cancel may come between the start and the session: nothing was sent, and nobody will end the execution."""
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2")
        await begin(store, "r1", Lease(HERE))
        await store.set_state("r1", RunStatus.CANCELLED)
        await begin(store, "r2", Lease(HERE))


async def test_the_guard_lets_the_holder_write_and_nobody_else(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store, RunStore.open(tmp_path) as other:
        await add(store, "r1", "r2")
        assert "does not hold" in store.guard.refused("r1", HERE, ["A"])["A"]
        await begin(store, "r1", Lease(HERE))
        assert store.guard.refused("r1", HERE, ["A", "B"]) == {}
        assert "does not hold" in store.guard.refused("r2", HERE, ["A"])["A"]
        await other.release_lease("r1", [])
        assert set(store.guard.refused("r1", HERE, ["A", "B"])) == {"A", "B"}


async def test_what_the_guard_cannot_see_is_refused(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1")
        await begin(store, "r1", Lease(HERE))
        assert store.guard.refused("r1", HERE, ["A"]) == {}
        store.guard.close()
        store.guard.close()
        with closing(sqlite3.connect(tmp_path / "index.sqlite")) as db:
            db.execute("ALTER TABLE leases RENAME TO other")
        assert "cannot be looked at" in store.guard.refused("r1", HERE, ["A"])["A"]


async def test_the_guard_makes_no_index(tmp_path: Path) -> None:
    assert "cannot be looked at" in WriteGuard(tmp_path).refused("r1", HERE, ["A"])["A"]
    assert list(tmp_path.iterdir()) == []


async def test_a_write_without_a_known_end_closes_its_channel(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2")
        await begin(store, "r1", Lease(HERE))
        await store.end_execution("r1", 1, MachineEffects.UNKNOWN, [LOST])
        await begin(store, "r2", Lease(HERE))
        refused = store.guard.refused("r2", HERE, ["A", "A.DRVH", "B"])
        assert set(refused) == {"A", "A.DRVH"}
        assert "write of 2.0 to A by run r1" in refused["A"]
        assert "osprey-executor settle r1" in refused["A"]
        assert [one.channel for one in await store.quarantine(machine=HERE)] == ["A"]
        assert await store.quarantine(machine=THERE) == await store.quarantine(run_id="r2") == []


async def test_a_channel_is_closed_once_whoever_ends_the_execution(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1")
        await begin(store, "r1", Lease(HERE))
        await store.release_lease("r1", [LOST])
        await store.release_lease("r1", [LOST])
        await store.end_execution("r1", 1, MachineEffects.UNKNOWN, [LOST])
        assert len(await store.quarantine()) == 1


async def test_where_nothing_is_known_all_is_closed(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2")
        await begin(store, "r1", Lease(HERE))
        await store.release_lease("r1", [Write(channel="*", value="", confirmed=False)])
        await begin(store, "r2", Lease(HERE))
        assert "journal is damaged" in store.guard.refused("r2", HERE, ["A"])["A"]


async def test_settling_opens_the_channel_and_is_done_once(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "r2")
        await begin(store, "r1", Lease(HERE))
        await store.end_execution("r1", 1, MachineEffects.UNKNOWN, [LOST])
        await store.set_state("r1", RunStatus.OUTCOME_UNKNOWN, MachineEffects.UNKNOWN)
        [left] = await store.quarantine(run_id="r1")
        seen = left.model_copy(update={"present": "2.0", "outcome": Settled.WRITTEN})
        now = datetime.now(UTC)
        settlement = Settlement(run_id="r1", writes=(seen,), by="ada", at=now, effects=MachineEffects.WRITTEN)
        await store.settle(settlement)
        with pytest.raises(InvalidDecision, match="settled meanwhile"):
            await store.settle(settlement)
        assert await store.quarantine() == []
        assert (await store.summary("r1")).effects is MachineEffects.WRITTEN
        await begin(store, "r2", Lease(HERE))
        assert store.guard.refused("r2", HERE, ["A"]) == {}
