"""Pages of long lists: complete, in order, steady while rows come and go, and found by an index alone."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osprey_executor.errors import InvalidRequestError
from osprey_executor.models import RUNNING, Approve, MachineEffects, RunFilter, RunStatus
from osprey_executor.storage import RunLock, RunStore

from .test_runs import A, card

ALL = RunFilter()


async def add(store: RunStore, run_id: str, task: str = "t", requester: str = "ada") -> None:
    assert await store.add(run_id, task=task, requester=requester, generator="user", config={})


async def every_run(store: RunStore, wanted: RunFilter, limit: int) -> list[str]:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await store.page(wanted, limit, after)
        assert len(page.runs) <= limit
        found += [run.run_id for run in page.runs]
        after = page.next
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_hold_every_run_once_the_newest_first(tmp_path: Path, limit: int) -> None:
    async with RunStore.open(tmp_path) as store:
        for number in range(7):
            await add(store, f"r{number}")
        assert await every_run(store, ALL, limit) == [f"r{number}" for number in reversed(range(7))]


async def test_a_page_goes_on_where_the_last_one_ended_whatever_came_or_changed(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        for number in range(4):
            await add(store, f"r{number}")
        first = await store.page(ALL, 2)
        await add(store, "new")
        await store.set_state("r2", RunStatus.FAILED)
        assert first.next
        assert [run.run_id for run in (await store.page(ALL, 2, first.next)).runs] == ["r1", "r0"]


async def test_runs_are_searched_by_all_that_a_list_shows(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1", "Correct the ORBIT, by 100%")
        await add(store, "r2", "measure tune_x", "eve")
        await store.set_state("r2", RunStatus.OUTCOME_UNKNOWN, MachineEffects.UNKNOWN)
        now = datetime.now(UTC)
        for wanted, expected in (
            (RunFilter(text="the orbit"), ["r1"]),
            (RunFilter(text="100%"), ["r1"]),
            (RunFilter(text="%"), ["r1"]),
            (RunFilter(text="_"), ["r2"]),
            (RunFilter(text="\\"), []),
            (RunFilter(text="r2"), ["r2"]),
            (RunFilter(text="r"), ["r2", "r1"]),
            (RunFilter(state=RUNNING), ["r1"]),
            (RunFilter(state=RUNNING, text="tune"), []),
            (RunFilter(effects=MachineEffects.UNKNOWN), ["r2"]),
            (RunFilter(requester="eve", state="outcome_unknown"), ["r2"]),
            (RunFilter(since=now - timedelta(minutes=5), until=now + timedelta(minutes=5)), ["r2", "r1"]),
            (RunFilter(since=now + timedelta(minutes=5)), []),
            (RunFilter(until=datetime(1, 1, 1)), []),
        ):
            assert await every_run(store, wanted, 5) == expected, wanted


@pytest.mark.parametrize("cursor", ["x", "%%%", "é", "aGVsbG8", "MjAyNi0xMS0yN1QyMDowMDowMCAg"])
async def test_what_is_no_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    async with RunStore.open(tmp_path) as store:
        with pytest.raises(InvalidRequestError, match="no cursor"):
            await store.page(ALL, 1, cursor)
        with pytest.raises(InvalidRequestError, match="no cursor"):
            await store.waiting(limit=1, after=cursor)


async def test_cards_that_wait_come_in_pages_the_oldest_run_first(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        for number in range(5):
            await add(store, f"r{number}", requester="eve" if number == 3 else "ada")
        for number in reversed(range(5)):
            await store.add_card(card(f"r{number}"))
        await store.set_state("r1", RunStatus.CANCELLED)
        first = await store.waiting(limit=2)
        assert first.next
        second = await store.waiting(limit=2, after=first.next)
        assert [one.run_id for one in (*first.approvals, *second.approvals)] == ["r0", "r2", "r3", "r4"]
        assert (first.total, second.total, second.next) == (4, 4, None)
        assert [one.run_id for one in (await store.waiting("eve", limit=2)).approvals] == ["r3"]
        [one] = (await store.waiting("eve", limit=1)).approvals
        whole = card("r3")
        assert (one.headline, one.digest, one.real, one.writes) == (whole.headline, A, False, 0)
        assert [one.run_id for one in await store.pending()] == ["r0", "r2", "r3", "r4"]


async def test_a_card_that_is_being_acted_upon_waits_for_nobody(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1")
        await store.add_card(card("r1"))
        await store.decide("r1", Approve(A), by="ben")
        store.folder("r1").mkdir(parents=True)
        with RunLock(store.folder("r1")) as lock:
            assert lock.acquire()
            assert (await store.waiting(limit=1)).approvals == ()
        [stranded] = (await store.waiting(limit=1)).approvals
        assert stranded.run_id == "r1"


async def test_an_index_of_an_older_version_gets_what_pages_need(tmp_path: Path) -> None:
    async with RunStore.open(tmp_path) as store:
        await add(store, "r1")
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.executescript(
            "DROP INDEX runs_in_time; DROP INDEX runs_in_state;"
            "CREATE INDEX runs_by_time ON runs (created_at); CREATE INDEX runs_by_state ON runs (state);"
            "PRAGMA user_version = 2"
        )
    db.close()
    async with RunStore.open(tmp_path) as store:
        assert await every_run(store, RunFilter(state=RUNNING), 5) == ["r1"]
        found = await store._rows("SELECT name FROM sqlite_master WHERE name LIKE 'runs_by%'")  # pyright: ignore[reportPrivateUsage]
        assert found == []
