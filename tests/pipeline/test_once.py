"""Requests with a key: two services on one state folder do once what is asked of both."""

from __future__ import annotations

import asyncio

import pytest

from osprey_executor import Approve, Edit, PythonExecutionRequest, PythonExecutorService, Reject
from osprey_executor.errors import InvalidDecision, InvalidRequestError, RunNotFoundError
from osprey_executor.models import RunSummary
from osprey_executor.service import PythonExecutorService as Service

from .conftest import WRITE, OpenService


def asked(code: str = WRITE, requester: str = "anna") -> PythonExecutionRequest:
    return PythonExecutionRequest(user_query="a program", code=code, requester=requester, inputs={"a.txt": b"text"})


async def at_rest(service: Service, run: RunSummary) -> None:
    async for _ in service.watch(run.run_id):
        pass


async def test_two_services_begin_one_run_and_decide_it_once(
    service: PythonExecutorService, open_service: OpenService
) -> None:
    async with open_service() as other:
        many = await asyncio.gather(*(one.begin(asked(), key="k-1") for one in (service, other, service, other)))
        assert len({run.run_id for run in many}) == 1
        assert len(await service.runs()) == 1
        await at_rest(other, many[0])
        card = await other.card(many[0].run_id)
        yes = Approve(card.digest)
        decided = await asyncio.gather(
            *(one.begin_decision(card.run_id, yes, approver="ben", key="k-2") for one in (service, other))
        )
        assert decided[0] == decided[1]
        await at_rest(service, many[0])
        assert await service.begin_decision(card.run_id, yes, approver="ben", key="k-2") == decided[0]
        assert (await other.result(card.run_id)).effects == "written"
        with pytest.raises(InvalidDecision, match=r"does not wait|was decided"):
            await service.begin_decision(card.run_id, yes, approver="ben")
        with pytest.raises(InvalidRequestError, match="another request of ben"):
            await service.begin_decision(card.run_id, Reject("no"), approver="ben", key="k-2")


async def test_the_answer_outlives_the_service_and_belongs_to_one_person(open_service: OpenService) -> None:
    async with open_service() as first:
        run = await first.begin(asked(), key="k")
        await at_rest(first, run)
    async with open_service() as second:
        assert await second.begin(asked(), key="k") == run
        other = await second.begin(asked(requester="eve"), key="k")
        assert other.run_id != run.run_id
        with pytest.raises(InvalidRequestError, match="'k' stands for another request of anna"):
            await second.begin(asked("results = {}"), key="k")
        assert len(await second.runs()) == 2


async def test_a_run_that_began_before_a_crash_is_the_answer(open_service: OpenService) -> None:
    async with open_service() as first:
        run = await first.begin(asked(), key="k")
        await at_rest(first, run)
        await first._executor.store._execute("UPDATE keys SET answer = NULL", ())  # pyright: ignore[reportPrivateUsage]
        assert (await first.begin(asked(), key="k")).run_id == run.run_id
        card = await first.card(run.run_id)
        no = Reject("no")
        await first.begin_decision(run.run_id, no, approver="ben", key="d")
        await first._executor.store._execute("UPDATE keys SET answer = NULL", ())  # pyright: ignore[reportPrivateUsage]
        assert (await first.begin_decision(run.run_id, no, approver="ben", key="d")).run_id == card.run_id


async def test_a_decision_that_came_before_a_crash_is_not_taken_for_one_about_the_next_card(
    open_service: OpenService,
) -> None:
    async with open_service() as first:
        run = await first.begin(asked(), key="k")
        await at_rest(first, run)
        shown = await first.card(run.run_id)
        edit = Edit(WRITE.replace("1.5", "0.5"))
        await first.begin_decision(run.run_id, edit, approver="ben", key="e")
        await at_rest(first, run)
        await first._executor.store._execute("UPDATE keys SET answer = NULL", ())  # pyright: ignore[reportPrivateUsage]
        await first.begin_decision(run.run_id, edit, approver="ben", key="e")
        await at_rest(first, run)
        assert len(await first.cards(run.run_id)) == 2
        # The same, meant: another key.
        await first.begin_decision(run.run_id, Edit(shown.code), approver="ben", key="back")
        await at_rest(first, run)
        await first.begin_decision(run.run_id, edit, approver="ben", key="again")
        await at_rest(first, run)
        assert [one.decision for one in await first.cards(run.run_id)] == [edit, Edit(shown.code), edit, None]


async def test_a_key_that_failed_may_be_used_again(service: PythonExecutorService) -> None:
    with pytest.raises(RunNotFoundError):
        await service.begin_decision("nothing", Reject("no"), key="k")
    for wrong in ("", "a b", "x" * 201, "é", "a\n"):
        with pytest.raises(InvalidRequestError, match="a key is"):
            await service.begin(asked(), key=wrong)
    assert (await service.begin(asked("results = {'a': 1}"), key="k")).requester == "anna"
