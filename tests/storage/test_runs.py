"""The index of runs: exactly one decision wins, an approval is used once, and nothing is lost between processes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osprey_executor.errors import InvalidDecision, OutcomeUnknownError, RunNotFoundError, StorageError
from osprey_executor.models import (
    ApprovalCard,
    Approve,
    ControlSystemReport,
    Edit,
    IsolationReport,
    MachineEffects,
    Reject,
    RunStatus,
    Verdict,
)
from osprey_executor.storage import RunStore

A, B = "a" * 64, "b" * 64


def card(run_id: str = "r1", digest: str = A, expires_in: float = 60) -> ApprovalCard:
    now = datetime.now(UTC)
    return ApprovalCard(
        run_id=run_id,
        digest=digest,
        headline="Writes to X",
        requester="ada",
        task="t",
        generator="user",
        code="pass",
        verdict=Verdict.ASK,
        reason="it writes",
        isolation=IsolationReport(),
        control_system=ControlSystemReport(),
        created_at=now,
        expires_at=now + timedelta(seconds=expires_in),
    )


async def add(store: RunStore, run_id: str = "r1") -> None:
    assert await store.add(run_id, task="t", requester="ada", generator="user", config={"a": 1})


async def test_a_run_is_added_once(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        assert not await store.add("r1", task="other", requester="eve", generator="user", config={})
        assert (await store.summary("r1")).task == "t"
        assert await store.config("r1") == {"a": 1}


async def test_a_run_is_found_by_a_unique_prefix(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "abc-1")
        await add(store, "abc-12")
        await add(store, "xyz")
        assert await store.find("x") == "xyz"
        assert await store.find("abc-1") == "abc-1"
        for prefix in ("abc", "nope", "", "%", "abc_1"):
            with pytest.raises(RunNotFoundError):
                await store.find(prefix)


async def test_what_a_power_cut_must_not_take_is_written_to_the_disk(tmp_path: Path) -> None:
    """Cards, decisions, starts of what may write, and what touched the machine; all else outlives the process only."""
    async with RunStore.open(tmp_path) as store:

        async def flushed(step: Awaitable[object]) -> bool:
            seen: list[str] = []
            await store._db.set_trace_callback(seen.append)  # pyright: ignore[reportPrivateUsage]
            await step
            levels = [place for place, sql in enumerate(seen) if sql == "PRAGMA synchronous = FULL"]
            ends = [place for place, sql in enumerate(seen) if sql == "PRAGMA synchronous = NORMAL"]
            writes = [place for place, sql in enumerate(seen) if sql.startswith(("INSERT", "UPDATE"))]
            assert len(levels) == len(ends)
            return bool(levels) and levels[0] < min(writes) and max(writes) < ends[0]

        assert not await flushed(add(store))
        assert await flushed(store.add_card(card()))
        assert await flushed(store.decide("r1", Approve(A), by="ada"))
        assert await flushed(store.begin_execution("r1", 1, may_write=True, digest=A))
        assert await flushed(store.end_execution("r1", 1, MachineEffects.WRITTEN))
        assert await flushed(store.set_state("r1", RunStatus.SUCCEEDED, MachineEffects.WRITTEN))
        await add(store, "r2")
        assert not await flushed(store.begin_execution("r2", 1, may_write=False, digest=None))
        assert not await flushed(store.set_state("r2", RunStatus.SUCCEEDED))


async def test_the_first_decision_wins(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as one, RunStore.open(tmp_path) as other:
        await add(one)
        await one.add_card(card())
        told = await asyncio.gather(
            one.decide("r1", Approve(A), by="ada"), other.decide("r1", Reject("no"), by="bob"), return_exceptions=True
        )
        assert sum(isinstance(answer, InvalidDecision) for answer in told) == 1
        decided = await other.decided("r1")
        assert decided is not None
        assert decided.by == ("bob" if isinstance(told[0], InvalidDecision) else "ada")


async def test_an_approval_needs_the_digest_of_the_newest_card(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.add_card(card(digest=A))
        await store.add_card(card(digest=B))
        with pytest.raises(InvalidDecision, match="not of the card"):
            await store.decide("r1", Approve(A), by="ada")
        await store.decide("r1", Approve(B), by="ada")


async def test_an_expired_card_cannot_be_approved_but_rejected(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.add_card(card(expires_in=-1))
        with pytest.raises(InvalidDecision, match="expired"):
            await store.decide("r1", Approve(A), by="ada")
        await store.decide("r1", Reject("too late"), by="ada")


async def test_an_approval_is_used_once(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.add_card(card())
        with pytest.raises(OutcomeUnknownError):
            await store.begin_execution("r1", 1, may_write=True, digest=A)
        await store.decide("r1", Approve(A), by="ada")
        await store.begin_execution("r1", 1, may_write=True, digest=A)
        with pytest.raises(OutcomeUnknownError):
            await store.begin_execution("r1", 2, may_write=True, digest=A)


@pytest.mark.parametrize("decision", [Reject("no"), Edit("x = 1")])
async def test_only_an_approval_redeems(tmp_path: Path, decision: Reject | Edit) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.add_card(card())
        await store.decide("r1", decision, by="ada")
        with pytest.raises(OutcomeUnknownError):
            await store.begin_execution("r1", 1, may_write=True, digest=A)


async def test_an_execution_is_begun_once_and_found_after_a_crash(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.begin_execution("r1", 1, may_write=False, digest=None)
        with pytest.raises(OutcomeUnknownError):
            await store.begin_execution("r1", 1, may_write=False, digest=None)
    async with RunStore.open(tmp_path) as store:
        left = await store.unfinished_execution("r1")
        assert left is not None
        assert not left.may_write
        await store.end_execution("r1", 1)
        assert await store.unfinished_execution("r1") is None


async def test_states_and_lists(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        for name in ("r1", "r2"):
            await add(store, name)
        await store.set_state("r1", RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
        newest = await store.summaries()
        assert [run.run_id for run in newest] == ["r2", "r1"]
        assert newest[1].finished_at is not None
        assert newest[1].effects is MachineEffects.WRITTEN
        assert [run.run_id for run in await store.summaries(state="running")] == ["r2"]


async def test_cancel_is_seen_by_others(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as one, RunStore.open(tmp_path) as other:
        await add(one)
        assert not await one.cancel_requested("r1")
        await other.request_cancel("r1")
        assert await one.cancel_requested("r1")


async def test_many_tasks_write_at_once(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as one, RunStore.open(tmp_path) as other:
        await asyncio.gather(
            *(add(store, f"{name}{n}") for n in range(20) for name, store in (("a", one), ("b", other)))
        )
        assert len(await one.summaries(limit=100)) == 40


async def test_a_newer_or_broken_index_is_refused(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="newer version"):
        async with RunStore.open(tmp_path):
            pass
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "index.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match="OSPREY_EXECUTOR_HOME"):
        async with RunStore.open(broken):
            pass


async def test_a_state_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="OSPREY_EXECUTOR_HOME"):
        async with RunStore.open(tmp_path / "file"):
            pass


async def test_a_damaged_row_is_one_sentence(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("UPDATE runs SET config = '{broken'")
    db.close()
    async with RunStore.open(tmp_path) as store:
        with pytest.raises(StorageError, match="configuration stored with run r1 is damaged"):
            await store.config("r1")


@pytest.mark.parametrize("turns", range(12))
async def test_a_transaction_that_is_cancelled_leaves_none_open(tmp_path: Path, turns: int) -> None:
    async with RunStore.open(tmp_path) as store, RunStore.open(tmp_path) as other:
        await add(store)
        for number in range(20):
            adding = asyncio.create_task(store.add_card(card(digest=f"{number:064d}")))
            for _ in range(turns):
                await asyncio.sleep(0)
            adding.cancel()
            with suppress(asyncio.CancelledError):  # unless it was done before
                await adding
        await add(store, "r2")
        await asyncio.wait_for(add(other, "r3"), 5)
    async with RunStore.open(tmp_path) as again:
        assert [await again.has(run_id) for run_id in ("r1", "r2", "r3")] == [True] * 3


async def test_a_state_folder_of_an_older_version_keeps_its_pending_cards(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store)
        await store.add_card(card())
    with sqlite3.connect(tmp_path / "index.sqlite") as db:  # as version 2 left it
        db.executescript("ALTER TABLE cards DROP COLUMN proof; DROP TABLE approvals; DROP TABLE remembered;")
        db.execute("PRAGMA user_version = 2")
    db.close()
    async with RunStore.open(tmp_path) as store, RunStore.open(tmp_path) as other:
        assert [one.digest for one in await other.pending()] == [A]
        assert await store.decide("r1", Approve(A), by="ada", proof="token")
        decided = await other.decided("r1")
    assert decided is not None
    assert (decided.by, decided.proof) == ("ada", "token")


async def test_a_second_person_completes_what_a_first_began(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as one, RunStore.open(tmp_path) as other:
        await add(one)
        await one.add_card(card().model_copy(update={"persons": 2}))
        assert not await one.decide("r1", Approve(A), by="ben", proof="token")
        told = await asyncio.gather(
            one.decide("r1", Approve(A), by="cleo", proof="token"),
            other.decide("r1", Approve(A), by="dora", proof="proxy"),
            return_exceptions=True,
        )
        assert sum(answer is True for answer in told) == 1
        assert sum(isinstance(answer, InvalidDecision) for answer in told) == 1, "one wins, the other is told"
        decided = await other.decided("r1")
        assert decided is not None
        assert (decided.by, decided.proof) in (("ben and cleo", "token and token"), ("ben and dora", "token and proxy"))
        await add(one, "r2")
        await one.add_card(card("r2").model_copy(update={"persons": 2}))
        assert not await one.decide("r2", Approve(A), by="ben", proof="token")
        with pytest.raises(InvalidDecision, match="already"):
            await other.decide("r2", Approve(A), by="ben", proof="token")
        await one.add_card(card("r2", digest=B).model_copy(update={"persons": 2}))
        assert not await one.decide("r2", Approve(B), by="ben", proof="token"), "another card starts anew"
