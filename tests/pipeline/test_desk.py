"""The desk: what each role sees, begins, decides and ends, against a real service."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService, Reject, RunStatus
from osprey_executor.desk import Desk, names_of_files
from osprey_executor.errors import AccessDeniedError, InvalidDecision, InvalidRequestError, RunNotFoundError
from osprey_executor.models import MachineEffects, Person, Role, RunFilter, RunResult

from .conftest import WRITE

LEAVES = "from pathlib import Path; Path('sub').mkdir(); Path('sub/a.txt').write_text('inner'); results = {'a': 1}"


def desk(service: PythonExecutorService, name: str, *roles: Role) -> Desk:
    return Desk(service, Person(name=name, roles=frozenset(roles), proof="token"))


def asking(code: str) -> PythonExecutionRequest:
    return PythonExecutionRequest(user_query="a program", code=code, requester="somebody else")


async def ended(one: Desk, run_id: str) -> RunResult:
    async for _, event in one.events(run_id):
        if event.kind == "finished":
            return event.result
    raise AssertionError("the run never ended")


async def test_a_run_begins_in_the_name_of_who_stands_there_and_a_second_person_decides(
    service: PythonExecutorService,
) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    run = await anna.submit(asking(WRITE))
    assert run.requester == "anna"
    assert (await ended(anna, run.run_id)).status is RunStatus.AWAITING_APPROVAL
    [row] = (await anna.pending()).approvals
    card = await anna.card(row.run_id)
    with pytest.raises(AccessDeniedError, match="anna may not decide"):
        await anna.decide(run.run_id, Approve(card.digest))
    assert (await ben.pending()).approvals == (row,)
    await ben.decide(run.run_id, Approve(card.digest))
    result = await ended(ben, run.run_id)
    assert (result.status, result.effects, result.approver) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN, "ben")


async def test_what_somebody_may_not_see_is_not_there(service: PythonExecutorService) -> None:
    anna, eve = desk(service, "anna", Role.REQUESTER), desk(service, "eve", Role.REQUESTER)
    run = await anna.submit(asking(WRITE))
    await ended(anna, run.run_id)
    card = await anna.card(run.run_id)
    assert (await eve.runs()).runs == ()
    assert (await eve.runs(RunFilter(requester="anna"))).runs == ()
    assert (await eve.pending()).approvals == ()
    assert [one.run_id for one in (await anna.runs()).runs] == [run.run_id]
    for look in (
        eve.run(run.run_id),
        eve.result(run.run_id),
        eve.card(run.run_id),
        eve.in_the_way(card),
        eve.cancel(run.run_id),
        eve.decide(run.run_id, Approve(card.digest)),
        eve.artifact(run.run_id, "a"),
        eve.restoring(run.run_id),
        eve.unsettled(run.run_id),
    ):
        with pytest.raises(RunNotFoundError, match="that eve may see"):
            await look
    with pytest.raises(RunNotFoundError):
        await anext(eve.events(run.run_id))
    other = await anna.submit(asking("results = {}"))
    for name in (run.run_id[:4], "nothing"):  # the runs of others that begin so are not named, nor the state folder
        with pytest.raises(RunNotFoundError, match=f"^no run '{name}' that eve may see: give its whole id$"):
            await eve.run(name)
    with pytest.raises(RunNotFoundError, match=other.run_id):
        await desk(service, "ben", Role.APPROVER).run(run.run_id[:4])
    await ended(anna, other.run_id)
    assert (await anna.cancel(run.run_id)).status is RunStatus.CANCELLED


async def test_a_viewer_sees_all_and_changes_nothing(service: PythonExecutorService) -> None:
    anna, vera = desk(service, "anna", Role.REQUESTER), desk(service, "vera", Role.VIEWER)
    run = await anna.submit(asking(WRITE))
    await ended(vera, run.run_id)
    assert [one.run_id for one in (await vera.runs()).runs] == [run.run_id]
    for change in (
        vera.submit(asking(WRITE)),
        vera.rehearse(asking(WRITE)),
        vera.cancel(run.run_id),
        vera.decide(run.run_id, Reject("no")),
        vera.restoring(run.run_id),
        vera.unsettled(run.run_id),
    ):
        with pytest.raises(AccessDeniedError, match="vera may not"):
            await change
    assert (await vera.result(run.run_id)).status is RunStatus.AWAITING_APPROVAL


async def test_files_go_by_the_names_that_the_program_gave(service: PythonExecutorService) -> None:
    anna = desk(service, "anna", Role.REQUESTER)
    run = await anna.submit(asking(LEAVES))
    result = await ended(anna, run.run_id)
    assert "sub/a.txt" in names_of_files(result)
    assert (await anna.artifact(run.run_id, "sub/a.txt")).read_text() == "inner"
    assert (await anna.artifact(run.run_id, "notebook.ipynb")).name == "notebook.ipynb"
    for wrong in ("", ".", "..", "../a.txt", "sub", "sub/../sub/a.txt", "/etc/passwd", "request.json", "a\0b"):
        with pytest.raises(RunNotFoundError, match="has no file"):
            await anna.artifact(run.run_id, wrong)


async def test_a_file_that_was_swapped_for_a_link_is_not_given(service: PythonExecutorService, tmp_path: Path) -> None:
    anna = desk(service, "anna", Role.REQUESTER)
    run = await anna.submit(asking(LEAVES))
    path = names_of_files(await ended(anna, run.run_id))["sub/a.txt"]
    path.unlink()
    path.symlink_to(tmp_path)
    with pytest.raises(RunNotFoundError):
        await anna.artifact(run.run_id, "sub/a.txt")


async def test_what_keeps_a_run_from_beginning_is_raised(service: PythonExecutorService) -> None:
    anna = desk(service, "anna", Role.REQUESTER, Role.APPROVER)
    with pytest.raises(InvalidRequestError, match="input"):
        await anna.submit(
            PythonExecutionRequest(user_query="x", code="results = {}", inputs={"a": Path("/nowhere/at/all")})
        )
    run = await anna.submit(asking(WRITE))
    await ended(anna, run.run_id)
    with pytest.raises(InvalidDecision, match="that digest is not of the card"):
        await anna.decide(run.run_id, Approve("0" * 64))
    await anna.decide(run.run_id, Reject("no"))
    assert (await ended(anna, run.run_id)).status is RunStatus.REJECTED
