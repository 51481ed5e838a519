"""The desk and the machine: what is as the card says, who writes now, what was left, the stop switch, the way back."""

from __future__ import annotations

import asyncio

import pytest

from osprey_executor import Approve, Edit, PythonExecutionRequest, PythonExecutorService, RunStatus
from osprey_executor.desk import Desk
from osprey_executor.errors import AccessDeniedError, InvalidRequestError, RunNotFoundError
from osprey_executor.models import Person, Role, RunResult, RunSummary, Write
from osprey_executor.storage import Lease

from .conftest import WRITE

WAITS = """
import time
from pathlib import Path
from osprey_executor.runtime import read_channel, write_channel
write_channel("MAG:1:SP", 1.5)
while read_channel("GO:ON") != 1:
    time.sleep(0.05)
results = {}
"""


def desk(service: PythonExecutorService, name: str, *roles: Role) -> Desk:
    return Desk(service, Person(name=name, roles=frozenset(roles), proof="token"))


async def ended(one: Desk, run_id: str) -> RunResult:
    async for event in one.watch(run_id):
        if event.kind == "finished":
            return event.result
    raise AssertionError("the run never ended")


async def asked(one: Desk, code: str = WRITE) -> RunSummary:
    run = await one.submit(PythonExecutionRequest(user_query="a program", code=code))
    assert (await ended(one, run.run_id)).status is RunStatus.AWAITING_APPROVAL
    return run


async def test_the_machine_as_it_is_while_a_card_is_looked_at(service: PythonExecutorService) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    first, second = await asked(anna), await asked(anna, WRITE.replace("1.5", "2.5"))
    seen = await ben.card(second.run_id)
    [now] = await ben.present(seen)
    assert (now.channel, now.drifted, now.problem) == ("MAG:1:SP", False, "")
    await ben.decide(first.run_id, Approve((await ben.card(first.run_id)).digest))
    await ended(ben, first.run_id)
    [now] = await ben.present(seen)
    assert (now.shown, now.drifted) == ("1.5", True)
    with pytest.raises(RunNotFoundError):
        await desk(service, "eve", Role.REQUESTER).present(seen)


async def test_a_run_tells_every_card_that_it_was_asked_about_with(service: PythonExecutorService) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    run = await asked(anna)
    await ben.decide(run.run_id, Edit(WRITE.replace("1.5", "1.25")))
    await ended(ben, run.run_id)
    earlier, now = await anna.cards(run.run_id)
    assert isinstance(earlier.decision, Edit)
    assert (earlier.by, earlier.card.code, now.decision) == ("ben", WRITE, None)
    assert "1.25" in now.card.code
    with pytest.raises(RunNotFoundError):
        await desk(service, "eve", Role.REQUESTER).cards(run.run_id)


async def test_who_writes_now_what_they_wrote_and_the_way_back(service: PythonExecutorService) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    assert await ben.writing() == []
    run = await asked(
        anna, 'from osprey_executor.runtime import write_channel\nwrite_channel("GO:ON", 0)\nresults = {}'
    )
    await ben.decide(run.run_id, Approve((await ben.card(run.run_id)).digest))
    await ended(ben, run.run_id)
    # The rehearsal would wait for ever, so it is ended while it waits; the plan holds what it wrote until then.
    service.config = service.config.model_copy(
        update={"approval": service.config.approval.model_copy(update={"rehearsal_timeout": 1.0})}
    )
    run = await asked(anna, WAITS)
    await ben.decide(run.run_id, Approve((await ben.card(run.run_id)).digest))
    async with asyncio.timeout(60):
        while not (now := await ben.writing()) or not now[0].writes:
            await asyncio.sleep(0.05)
    [one] = now
    assert (one.run.run_id, one.approver, one.count) == (run.run_id, "ben", 1)
    assert (one.writes[0].channel, one.writes[0].value) == ("MAG:1:SP", "1.5")
    assert await desk(service, "eve", Role.REQUESTER).writing() == []
    await ben.cancel(run.run_id)
    assert await ben.writing() == []
    restoring = await ben.restoring(run.run_id)
    with pytest.raises(AccessDeniedError):
        await anna.restore(restoring)
    back = await ben.restore(restoring)
    assert back.requester == "ben"
    assert (await ended(ben, back.run_id)).status is RunStatus.AWAITING_APPROVAL
    with pytest.raises(InvalidRequestError, match="have changed"):
        await ben.restore(restoring.model_copy(update={"channels": restoring.channels * 2}))


async def test_writes_are_stopped_by_name_and_allowed_by_who_may(service: PythonExecutorService) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    for refused in (anna.stop_writes(), anna.allow_writes(), anna.probes()):
        with pytest.raises(AccessDeniedError):
            await refused
    assert await anna.stopped() is None
    assert await ben.stop_writes("beam lost")
    assert "by ben" in (await anna.stopped() or "")
    assert not await ben.stop_writes()
    run = await asked(anna)
    card = await ben.card(run.run_id)
    assert "beam lost" in (await ben.in_the_way(card))[0]
    assert "by ben" in (await ben.allow_writes() or "")
    assert await anna.stopped() is None


async def test_what_was_left_open_is_shown_to_those_who_see_its_run(service: PythonExecutorService) -> None:
    anna, ben = desk(service, "anna", Role.REQUESTER), desk(service, "ben", Role.APPROVER)
    run = await anna.submit(PythonExecutionRequest(user_query="a program", code="results = {}"))
    await ended(anna, run.run_id)
    assert await ben.open_ends() == []
    store = service._executor.store
    await store.take_lease(run.run_id, Lease("mock:1", ("MAG:1:SP",)))
    await store.release_lease(run.run_id, [Write(channel="MAG:1:SP", value="1.5", confirmed=False)])
    [left] = await ben.open_ends()
    assert (left.run_id, left.channel) == (run.run_id, "MAG:1:SP")
    assert await anna.open_ends() == [left]
    assert await desk(service, "eve", Role.REQUESTER).open_ends() == []
