"""A person decides: nothing is written before, exactly the approved code runs, and every door tells the same."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from langgraph.types import Command

from osprey_executor import Approve, Edit, PythonExecutionRequest, PythonExecutorService, Reject, RunStatus
from osprey_executor.errors import (
    ExecutionCancelledError,
    InvalidDecision,
    InvalidRequestError,
    RunNotFoundError,
    StorageError,
)
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models import ApprovalCard, Decision, MachineEffects, Stage
from osprey_executor.results.attempts import AttemptFolder

from .conftest import WRITE, OpenService, own

CAUGHT = """
from osprey_executor.runtime import WriteRefused, write_channel
try:
    write_channel("MAG:1:SP", 1.0)
except WriteRefused as error:
    results = {"why": str(error)}
"""


async def test_a_write_asks_and_happens_after_the_approval(service: PythonExecutorService) -> None:
    shown: list[ApprovalCard] = []

    async def decide(card: ApprovalCard) -> Decision:
        shown.append(card)
        return Approve(card.digest)

    result = await service.run(own(WRITE), decide=decide, approver="ada")
    assert result.error is None
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.WRITTEN
    assert result.results == {"value": 1.5}
    assert result.approver == "ada"
    assert [(write.channel, write.confirmed) for write in result.writes] == [("MAG:1:SP", True)]
    [card] = shown
    assert result.digest == card.digest
    assert [target.channel for target in card.writes] == ["MAG:1:SP"]


async def test_what_waits_for_a_person_is_written_to_the_disk(
    service: PythonExecutorService, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[Path] = set()
    fsync = os.fsync
    await service.run(own("results = {}"))  # keys are made once

    def noted(descriptor: int) -> None:
        flushed.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    assert (await service.run(own("results = {}"))).status is RunStatus.SUCCEEDED
    assert flushed == set()
    waiting = await service.run(own(WRITE))
    assert waiting.status is RunStatus.AWAITING_APPROVAL
    assert home / "checkpoints.sqlite-wal" in flushed
    assert {waiting.folder / name for name in ("request.json", "attempts/1/code.py", "events.jsonl")} <= flushed


async def test_reading_does_not_ask(service: PythonExecutorService) -> None:
    code = "from osprey_executor.runtime import read_channel\nresults = {'x': read_channel('BPM:1:X')}"
    result = await service.run(own(code))
    assert result.status is RunStatus.SUCCEEDED
    assert await service.pending() == []


async def test_without_anybody_to_decide_the_run_waits(service: PythonExecutorService) -> None:
    result = await service.run(own(WRITE))
    assert result.status is RunStatus.AWAITING_APPROVAL
    [card] = await service.pending()
    assert card.run_id == result.run_id
    assert result.digest == card.digest
    ended = await service.decide(result.run_id, Approve(card.digest))
    assert ended.status is RunStatus.SUCCEEDED
    assert await service.pending() == []
    with pytest.raises(InvalidDecision):
        await service.decide(result.run_id, Approve(card.digest))


async def test_a_rejection_ends_the_run_with_its_reason(service: PythonExecutorService) -> None:
    result = await service.run(own(WRITE), decide=lambda card: Reject("beam is on"))
    assert result.status is RunStatus.REJECTED
    assert result.effects is MachineEffects.NONE
    assert result.error is not None
    assert "beam is on" in result.error.message


async def test_a_rejection_may_ask_for_other_code(open_service: OpenService) -> None:
    generator = MockCodeGenerator()
    generator.set_code_sequence([WRITE, "results = {'harmless': True}"])
    async with open_service(generator) as service:
        result = await service.run(
            PythonExecutionRequest(user_query="t"), decide=lambda card: Reject("do not write", regenerate=True)
        )
    assert result.status is RunStatus.SUCCEEDED
    assert result.results == {"harmless": True}
    assert generator.last_error_chain is not None
    assert "do not write" in generator.last_error_chain[0]


async def test_an_edit_is_a_new_digest_and_asked_again(service: PythonExecutorService) -> None:
    shown: list[ApprovalCard] = []

    def decide(card: ApprovalCard) -> Decision:
        shown.append(card)
        return Edit(WRITE.replace("1.5", "0.5")) if len(shown) == 1 else Approve(card.digest)

    result = await service.run(own(WRITE), decide=decide)
    assert result.results == {"value": 0.5}
    assert shown[0].digest != shown[1].digest
    assert result.code is not None
    assert "0.5" in result.code


async def test_an_edit_to_code_that_does_not_parse_does_not_run(service: PythonExecutorService) -> None:
    result = await service.run(own(WRITE), decide=lambda card: Edit("def broken(:"))
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert result.error.type == "CodeSyntaxError"


@pytest.mark.parametrize("wire", ["yes", 1, True, {"approved": "no"}, {"approved": 1}, {"decision": "approve"}, {}])
async def test_what_is_not_a_decision_leaves_the_run_waiting(service: PythonExecutorService, wire: object) -> None:
    with pytest.raises(InvalidDecision):
        await service.run(own(WRITE), decide=lambda card: wire)  # pyright: ignore[reportArgumentType]
    [card] = await service.pending()
    with pytest.raises(InvalidDecision):
        await service.ainvoke(Command(resume=wire), {"configurable": {"thread_id": card.run_id}})
    assert [waiting.run_id for waiting in await service.pending()] == [card.run_id]


async def test_another_digest_is_no_approval(service: PythonExecutorService) -> None:
    result = await service.run(own(WRITE))
    with pytest.raises(InvalidDecision, match="not of the card"):
        await service.decide(result.run_id, Approve("0" * 64))
    assert len(await service.pending()) == 1


async def test_writes_that_are_not_enabled_are_refused_not_failed(open_service: OpenService) -> None:
    async with open_service(control_system__writes_enabled=False) as service:
        uncaught = await service.run(own(WRITE))
        caught = await service.run(own(CAUGHT))
    assert uncaught.status is RunStatus.REFUSED
    assert caught.status is RunStatus.SUCCEEDED
    assert caught.effects is MachineEffects.NONE
    for result in (uncaught, caught):
        assert [refusal.channel for refusal in result.refusals] == ["MAG:1:SP"]


async def test_disabled_never_asks_and_writes_on_the_mock(open_service: OpenService) -> None:
    async with open_service(approval__mode="disabled") as service:
        result = await service.run(own(WRITE))
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.WRITTEN


async def test_all_code_asks_for_everything(open_service: OpenService) -> None:
    async with open_service(approval__mode="all_code") as service:
        result = await service.run(own("results = {}"))
        assert result.status is RunStatus.AWAITING_APPROVAL


async def test_two_services_decide_at_once_and_the_code_runs_once(open_service: OpenService) -> None:
    async with open_service() as one, open_service() as other:
        waiting = await one.run(own(WRITE))
        card = await one.card(waiting.run_id)
        answers = await asyncio.gather(
            one.decide(card.run_id, Approve(card.digest), approver="ada"),
            other.decide(card.run_id, Approve(card.digest), approver="bob"),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, InvalidDecision) for answer in answers) == 1
        result = await one.result(waiting.run_id)
    assert result.status is RunStatus.SUCCEEDED
    assert len(result.writes) == 1


async def test_a_waiting_process_executes_what_another_decides(open_service: OpenService) -> None:
    async with open_service() as waiting, open_service() as deciding:
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def never(card: ApprovalCard) -> Decision:
            asked.set_result(card.digest)
            await asyncio.Event().wait()
            raise AssertionError

        run = asyncio.create_task(waiting.run(own(WRITE), decide=never, approver="ada"))
        digest = await asyncio.wait_for(asked, 30)
        [card] = await deciding.pending()
        told = await deciding.decide(card.run_id, Approve(digest), approver="bob")
        result = await asyncio.wait_for(run, 30)
    assert result.status is told.status is RunStatus.SUCCEEDED
    assert result.approver == told.approver == "bob"


async def test_cancel_while_waiting_and_while_executing(open_service: OpenService) -> None:
    async with open_service() as one, open_service() as other:
        waiting = await one.run(own(WRITE))
        assert (await other.cancel(waiting.run_id)).status is RunStatus.CANCELLED
        with pytest.raises(InvalidDecision):
            await one.decide(waiting.run_id, Approve(waiting.digest or ""))

        up = asyncio.Event()

        async def watch() -> None:
            async for event in one.stream(own("import time\nprint('up', flush=True)\ntime.sleep(60)")):
                if event.kind == "output":
                    up.set()
                if event.kind == "finished":
                    assert event.result.status is RunStatus.CANCELLED

        task = asyncio.create_task(watch())
        await asyncio.wait_for(up.wait(), 30)
        running = next(run for run in await other.runs() if run.state == "running")
        ended = await other.cancel(running.run_id)
        await asyncio.wait_for(task, 30)
    assert ended.status is RunStatus.CANCELLED
    with pytest.raises(ExecutionCancelledError, match="cancelled"):
        ended.raise_for_status()


async def test_a_cancelled_run_tells_what_it_wrote(open_service: OpenService) -> None:
    code = WRITE + "print('written', flush=True)\nimport time\ntime.sleep(60)"
    stage = None
    async with open_service(approval__rehearsal_timeout=0.2) as service:
        async for event in service.stream(own(code), decide=lambda card: Approve(card.digest)):
            if event.kind == "stage":
                stage = event.stage
            if event.kind == "output" and stage == Stage.EXECUTION:
                await service.cancel(event.run_id)
            if event.kind == "finished":
                result = event.result
    assert result.status is RunStatus.CANCELLED
    assert result.effects is MachineEffects.WRITTEN
    assert [(write.channel, write.value) for write in result.writes] == [("MAG:1:SP", "1.5")]
    assert result.stdout == "written\n"
    assert result.partial


async def test_the_langgraph_door(service: PythonExecutorService) -> None:
    config = {"configurable": {"thread_id": "my-thread"}}
    state = await service.ainvoke(own(WRITE), config)  # pyright: ignore[reportArgumentType]
    [question] = state["__interrupt__"]
    assert question.value["headline"]
    assert state["result"].status is RunStatus.AWAITING_APPROVAL
    assert state["result"].run_id == "my-thread"
    state = await service.ainvoke(Command(resume={"approved": True}), config)  # pyright: ignore[reportArgumentType]
    assert "__interrupt__" not in state
    assert state["result"].status is RunStatus.SUCCEEDED


async def test_a_thread_id_that_ran_is_not_written_over(service: PythonExecutorService) -> None:
    config = {"configurable": {"thread_id": "once"}}
    first = (await service.ainvoke(own("results = {'a': 1}", inputs={"x": b"1"}), config))["result"]
    with pytest.raises(InvalidRequestError, match="already"):
        await service.ainvoke(own("results = {'a': 2}", inputs={"x": b"2"}), config)
    assert await service.result("once") == first
    assert (first.folder / "inputs" / "x").read_bytes() == b"1"


async def test_a_thread_id_is_no_prefix(service: PythonExecutorService) -> None:
    waiting = await service.ainvoke(own(WRITE), {"configurable": {"thread_id": "user-10"}})
    assert "__interrupt__" in waiting
    with pytest.raises(RunNotFoundError):
        await service.ainvoke(Command(resume={"approved": True}), {"configurable": {"thread_id": "user-1"}})
    assert len(await service.pending()) == 1


async def test_a_full_disk_does_not_hide_a_write(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise StorageError("the disk is full")

    def approve(card: ApprovalCard) -> Approve:
        monkeypatch.setattr(AttemptFolder, "save_outcome", full)
        return Approve(card.digest)

    result = await service.run(own(WRITE), decide=approve)
    assert result.status is RunStatus.OUTCOME_UNKNOWN
    assert result.effects is MachineEffects.WRITTEN
    assert [write.channel for write in result.writes] == ["MAG:1:SP"]
    with pytest.raises(StorageError):
        await service.run(own("results = {}"))


async def test_unknown_runs_are_told(service: PythonExecutorService) -> None:
    with pytest.raises(RunNotFoundError, match="no run 'nope'"):
        await service.decide("nope", Reject())


async def test_an_input_that_changes_after_the_approval_does_not_run(service: PythonExecutorService) -> None:
    waiting = await service.run(own(WRITE, inputs={"table.csv": b"1,2"}))
    kept: Path = waiting.folder / "inputs" / "table.csv"
    kept.chmod(0o600)
    kept.write_bytes(b"9,9")
    ended = await service.decide(waiting.run_id, Approve(waiting.digest or ""))
    assert ended.status is RunStatus.REFUSED
    assert ended.effects is MachineEffects.NONE
    assert ended.error is not None
    assert "the inputs changed" in ended.error.message
