"""What happens while a person looks at a card costs no approval, and makes none of what is none."""

from __future__ import annotations

import asyncio
import datetime as datetimes
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from osprey_executor import Approve, Edit, PythonExecutionRequest, PythonExecutorService, RunStatus
from osprey_executor.desk import Desk
from osprey_executor.errors import InvalidDecision, StorageError
from osprey_executor.models import ApprovalCard, MachineEffects, Person, Role, RunResult
from osprey_executor.storage import RunStore

from .conftest import WRITE, OpenService


def desk(service: PythonExecutorService, name: str, role: Role) -> Desk:
    return Desk(service, Person(name=name, roles=frozenset({role}), proof="token"))


async def ended(one: Desk, run_id: str) -> RunResult:
    async for _, event in one.events(run_id):
        if event.kind == "finished":
            return event.result
    raise AssertionError("the run never ended")


async def asked(service: PythonExecutorService) -> ApprovalCard:
    anna = desk(service, "anna", Role.REQUESTER)
    run = await anna.submit(PythonExecutionRequest(user_query="a program", code=WRITE))
    await ended(anna, run.run_id)
    return await anna.card(run.run_id)


async def written_once(service: PythonExecutorService, run_id: str, value: str = "1.5") -> None:
    result = await ended(desk(service, "ben", Role.APPROVER), run_id)
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
    assert [write.value for write in result.writes] == [value]


async def test_a_card_of_an_older_version_is_approved_after_the_upgrade(home: Path, open_service: OpenService) -> None:
    async with open_service() as service:
        card = await asked(service)
    with closing(sqlite3.connect(home / "index.sqlite")) as db:  # as version 2 left it
        db.executescript(
            "ALTER TABLE cards DROP COLUMN proof; DROP TABLE approvals; DROP TABLE remembered; DROP TABLE keys;"
            "DROP TABLE announced; DROP INDEX cards_undecided; PRAGMA user_version = 2;"
        )
    async with open_service() as service:
        ben = desk(service, "ben", Role.APPROVER)
        assert [row.run_id for row in (await ben.pending()).approvals] == [card.run_id]
        await ben.decide(card.run_id, Approve(card.digest), key="yes")
        await written_once(service, card.run_id)


def set_the_clock(patch: pytest.MonkeyPatch, shift: timedelta) -> None:
    """Let this process see another time of day."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetimes.datetime.now(tz) + shift

    for name, module in list(sys.modules.items()):
        if name.startswith("osprey_executor.") and vars(module).get("datetime") is datetime:
            patch.setattr(module, "datetime", Shifted)


async def test_a_clock_that_is_set_anew_costs_no_approval(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, ben = await asked(service), desk(service, "ben", Role.APPROVER)
    with monkeypatch.context() as patch:
        set_the_clock(patch, timedelta(days=400))
        with pytest.raises(InvalidDecision, match="expired"):
            await ben.decide(card.run_id, Approve(card.digest))
    assert (await ben.card(card.run_id)).digest == card.digest
    with monkeypatch.context() as patch:
        set_the_clock(patch, timedelta(hours=-3))  # it was shown in the future
        await ben.decide(card.run_id, Approve(card.digest))
        await written_once(service, card.run_id)


async def test_an_edit_and_an_approval_at_once_are_one_of_the_two(open_service: OpenService) -> None:
    async with open_service() as one, open_service() as other:
        card = await asked(one)
        ben, cleo = desk(one, "ben", Role.APPROVER), desk(other, "cleo", Role.APPROVER)
        edit, approval = await asyncio.gather(
            ben.decide(card.run_id, Edit(WRITE.replace("1.5", "0.5"))),
            cleo.decide(card.run_id, Approve(card.digest)),
            return_exceptions=True,
        )
        assert isinstance(edit, InvalidDecision) != isinstance(approval, InvalidDecision)
        if isinstance(approval, InvalidDecision):
            assert (await ended(cleo, card.run_id)).effects is MachineEffects.NONE
            with pytest.raises(InvalidDecision, match="digest"):
                await cleo.decide(card.run_id, Approve(card.digest))
            new = await cleo.card(card.run_id)
            await cleo.decide(card.run_id, Approve(new.digest))
        await written_once(one, card.run_id, "0.5" if isinstance(approval, InvalidDecision) else "1.5")


async def test_a_cancel_and_an_approval_at_once_end_in_what_is_told(open_service: OpenService) -> None:
    async with open_service() as one, open_service() as other:
        card = await asked(one)
        ben, anna = desk(one, "ben", Role.APPROVER), desk(other, "anna", Role.REQUESTER)
        await asyncio.gather(
            ben.decide(card.run_id, Approve(card.digest)), anna.cancel(card.run_id), return_exceptions=True
        )
        result = await ended(anna, card.run_id)
        assert result.status in (RunStatus.CANCELLED, RunStatus.SUCCEEDED)
        assert bool(result.writes) == (result.effects is not MachineEffects.NONE)
        assert (await ben.pending()).approvals == ()
        with pytest.raises(InvalidDecision):
            await ben.decide(card.run_id, Approve(card.digest))


@pytest.mark.parametrize("method", ["decide", "begin_execution"])
async def test_a_disk_that_is_full_around_the_decision_costs_no_approval(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    card, ben = await asked(service), desk(service, "ben", Role.APPROVER)

    async def full(*args: object, **kwargs: object) -> None:
        raise StorageError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, method, full)
        with pytest.raises(StorageError, match="full"):
            await service.decide(card.run_id, Approve(card.digest), approver=ben.person)
    assert [row.run_id for row in (await ben.pending()).approvals] == [card.run_id]
    await ben.decide(card.run_id, Approve(card.digest))
    await written_once(service, card.run_id)
