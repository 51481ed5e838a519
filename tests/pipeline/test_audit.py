"""What the service tells the audit trail, and that nothing is decided which it cannot hold."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import Approve, PythonExecutorService, Reject, RunStatus
from osprey_executor.audit import verify
from osprey_executor.desk import Desk
from osprey_executor.errors import StorageError
from osprey_executor.models import ApprovalCard, MachineEffects, Person, Role
from osprey_executor.service import StopSwitch

from .conftest import WRITE, OpenService, own

READ = "results = {'one': 1}"


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


def records(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "audit.jsonl").read_bytes().splitlines()]


def block(home: Path) -> None:
    """Let nothing be appended any more, as a full disk does; for root, too."""
    (home / "audit.jsonl").rename(home / "audit.away")
    (home / "audit.jsonl").mkdir()


def unblock(home: Path) -> None:
    (home / "audit.jsonl").rmdir()
    (home / "audit.away").rename(home / "audit.jsonl")


async def test_a_run_that_writes_is_told_from_its_request_to_its_writes(
    open_service: OpenService, home: Path, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    async with open_service(audit__heads=str(heads)) as service:
        desk = Desk(service, Person(name="ben", roles=frozenset((Role.APPROVER,)), proof="token"))
        waiting = await service.run(own(WRITE, requester="anna"))
        for _ in range(3):
            card = await desk.card(waiting.run_id)
        await service.decide(card.run_id, Approve(card.digest), approver=desk.person)
    told = records(home)
    assert [one["kind"] for one in told] == ["request", "card", "card shown", "decision", "grant", "writes"]
    assert all(one["run"] == card.run_id for one in told)
    assert told[0]["requester"] == "anna"
    assert (told[2]["to"], told[3]["by"], told[3]["proof"]) == ("ben", "ben", "token")
    assert told[3]["digest"] == told[4]["digest"] == card.digest
    assert told[4]["signature"]
    assert (told[5]["effects"], told[5]["channels"], told[5]["writes"]) == ("written", ["MAG:1:SP"], 1)
    found = verify(home, heads)
    assert (found.problems, found.outside) == ((), 0)
    journal = home / "runs" / card.run_id / "journal.jsonl"
    journal.write_text(journal.read_text().replace("1.5", "1.4"))
    assert "journal of run" in verify(home, heads).problems[0]


async def test_what_only_reads_is_told_in_one_record(service: PythonExecutorService, home: Path) -> None:
    await service.run(own(READ))
    assert [one["kind"] for one in records(home)] == ["request"]


async def test_refusals_rejections_and_what_was_shown_to_a_callback(open_service: OpenService, home: Path) -> None:
    async with open_service(control_system__writes_enabled=False) as service:
        await service.run(own(WRITE))
    async with open_service() as service:
        await service.run(own(WRITE), decide=lambda _: Reject("not today"), approver="cleo")
    told = records(home)
    assert [one["kind"] for one in told] == ["request", "writes", "request", "card", "card shown", "decision"]
    assert (told[1]["writes"], told[1]["refusals"]) == (0, 1)
    assert "MAG:1:SP" in told[1]["refused"][0]
    assert (told[4]["to"], told[5]["decision"], told[5]["reason"]) == ("cleo", "reject", "not today")


async def test_a_decision_that_cannot_be_audited_is_not_taken_and_reading_goes_on(
    service: PythonExecutorService, home: Path
) -> None:
    waiting = await service.run(own(WRITE))
    card = await service.card(waiting.run_id)
    block(home)
    with pytest.raises(StorageError, match="audit trail"):
        await service.decide(card.run_id, Approve(card.digest))
    with pytest.raises(StorageError, match="audit trail"):
        await service.decide(card.run_id, Reject("no"))
    with pytest.raises(StorageError, match="audit trail"):
        await service.run(own(WRITE))  # its card could not be laid before anybody
    assert (await service.result(card.run_id)).status is RunStatus.AWAITING_APPROVAL
    assert [one.run_id for one in await service.pending()] == [card.run_id]
    assert (await service.run(own(READ))).status is RunStatus.SUCCEEDED
    unblock(home)
    result = await service.decide(card.run_id, Approve(card.digest))
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
    assert verify(home).problems == ()
    assert any(one.get("lost") for one in records(home)), "what went on unrecorded is told by the next record"


async def test_a_decision_that_is_recorded_and_then_not_taken_is_told_as_that(
    service: PythonExecutorService, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await service.run(own(WRITE))
    card = await service.card(waiting.run_id)
    store = service._executor.store  # pyright: ignore[reportPrivateUsage]
    whole = store._whole  # pyright: ignore[reportPrivateUsage]

    async def full(sql: str) -> None:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        await whole(sql)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_whole", full)
        with pytest.raises(StorageError, match="full"):
            await service.decide(card.run_id, Approve(card.digest))
    assert [one["kind"] for one in records(home)][-2:] == ["decision", "not done"]
    assert (await service.result(card.run_id)).status is RunStatus.AWAITING_APPROVAL


def test_the_kill_switch_is_audited_and_stops_even_where_it_cannot_be(home: Path) -> None:
    switch = StopSwitch(home)
    switch.stop("anna", "smoke")
    switch.release("ben")
    assert [(one["kind"], one["by"]) for one in records(home)] == [
        ("writes stopped", "anna"),
        ("writes allowed", "ben"),
    ]
    block(home)
    assert switch.stop("anna", "smoke")
    with pytest.raises(StorageError, match="audit trail"):
        switch.release("ben")
    assert switch.on() is not None
