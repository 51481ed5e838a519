"""Approving for a real machine needs something that the asking program lacks, as soon as the site has approvers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from osprey_executor import Approve, PythonExecutorService, Reject, RunStatus
from osprey_executor.access import People
from osprey_executor.desk import Desk
from osprey_executor.errors import AccessDeniedError, NotIdentifiedError
from osprey_executor.interfaces.capability import CapabilityState, PythonCapability
from osprey_executor.models import ApprovalCard, MachineEffects, Person, Role

from .conftest import OpenService, own
from .machine import machine_with

# Without containment next to a machine that is called real, every program is asked about before it starts; nothing
# needs to answer there.
UNCONTAINED: dict[str, Any] = {
    "execution__isolation": "none",
    "control_system__type": "epics",
    "control_system__epics": {"address_list": ["127.0.0.1:9"]},
    "control_system__writes_enabled": False,
}
CODE = "results = {'done': True}"


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


@pytest.fixture
def ben(home: Path) -> str:
    """The token of an approver."""
    people = People(home)
    people.add("anna", [Role.REQUESTER])
    return people.add("ben", [Role.APPROVER])


@pytest.fixture
async def service(open_service: OpenService, tmp_path: Path) -> AsyncGenerator[PythonExecutorService]:
    async with open_service(**UNCONTAINED, audit__heads=str(tmp_path / "away" / "heads.jsonl")) as opened:
        yield opened


async def waiting(service: PythonExecutorService) -> ApprovalCard:
    return await service.card((await service.run(own(CODE))).run_id)


async def test_without_people_the_account_approves_and_that_is_called_advisory(service: PythonExecutorService) -> None:
    card = await waiting(service)
    assert card.approval.startswith("advisory approval")
    result = await service.decide(card.run_id, Approve(card.digest))
    assert (result.status, result.proof) == (RunStatus.SUCCEEDED, "system")
    assert "(advisory approval)" in str(result.decided_by)
    seen = {probe.name: (probe.outcome, probe.detail) for probe in await service.doctor()}
    assert seen["approval by something that programs lack"] == ("unavailable", card.approval)
    assert seen["heads of the audit trail"][0] == "failed"


async def test_with_an_approver_every_way_to_say_yes_needs_a_token(
    ben: str, service: PythonExecutorService, home: Path
) -> None:
    card = await waiting(service)
    assert card.approval == "needs the token of an approver: ben"
    anna = People(home).renew("anna")
    desk = Desk(service, Person(name="ben", roles=frozenset(Role), proof="system"))
    yes = Approve(card.digest)
    for refused, error in (
        (service.decide(card.run_id, yes), "needs the token of an approver"),
        (service.decide(card.run_id, yes, approver="ben"), "needs the token of an approver"),
        (service.decide(card.run_id, yes, credential=lambda: None), "needs the token of an approver"),
        (service.decide(card.run_id, yes, credential=anna), "anna is not"),
        (service.decide(card.run_id, yes, credential="osprey-wrong"), "nobody's token"),
        (service.run(own(CODE), decide=approve), "needs the token of an approver"),
        (desk.decide(card.run_id, yes), "needs the token of an approver"),
        (
            service.ainvoke(Command(resume={"approved": True}), {"configurable": {"thread_id": card.run_id}}),
            "needs the token of an approver",
        ),
    ):
        with pytest.raises(AccessDeniedError, match=error):
            await refused
    assert (await service.result(card.run_id)).status is RunStatus.AWAITING_APPROVAL
    result = await service.decide(card.run_id, yes, approver="somebody", credential=ben)
    assert (result.status, result.approver, result.proof) == (RunStatus.SUCCEEDED, "ben", "token")
    assert "ben (known by token)" in (result.folder / "notebook.ipynb").read_text()
    assert ben not in "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


async def test_an_agent_that_may_not_approve_is_told_and_the_run_waits_for_another_door(
    ben: str, service: PythonExecutorService
) -> None:
    graph = StateGraph(CapabilityState)
    graph.add_node("python", PythonCapability(service).node())
    graph.add_edge(START, "python")
    agent: Any = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    state = await agent.ainvoke({"task": "nothing", "code": CODE}, thread)
    run_id = state["__interrupt__"][0].value["run_id"]
    state = await agent.ainvoke(Command(resume={"approved": True}), thread)
    assert "needs the token of an approver" in state["__interrupt__"][0].value["error"]
    card = await service.card(run_id)
    await service.decide(run_id, Approve(card.digest), credential=ben)
    state = await agent.ainvoke(Command(resume={"approved": True}), thread)
    assert (state["python_run"]["status"], state["python_run"]["approver"]) == ("succeeded", "ben")


async def test_a_callback_asks_for_the_token_when_it_has_approved_and_not_before(
    ben: str, service: PythonExecutorService
) -> None:
    asked: list[str] = []

    async def token() -> str:
        asked.append("token")
        return ben

    result = await service.run(own(CODE), decide=lambda _: Reject("no"), credential=token)
    assert (result.status, asked) == (RunStatus.REJECTED, [])
    result = await service.run(own(CODE), decide=approve, credential=token)
    assert (result.status, result.approver, asked) == (RunStatus.SUCCEEDED, "ben", ["token"])


async def test_a_door_that_knows_the_person_is_enough(ben: str, service: PythonExecutorService) -> None:
    for proof in ("token", "proxy"):
        card = await waiting(service)
        desk = Desk(service, Person(name="ben", roles=frozenset((Role.APPROVER,)), proof=proof))
        await desk.decide(card.run_id, Approve(card.digest))
        async for event in service.watch(card.run_id):
            if event.kind == "finished":
                assert (event.result.approver, event.result.proof) == ("ben", proof)
    card = await waiting(service)
    host = Desk(service, Person(name="ben", roles=frozenset((Role.APPROVER,)), proof="host"))
    with pytest.raises(AccessDeniedError):
        await host.decide(card.run_id, Approve(card.digest))


async def test_wrong_tokens_are_slowed_down_and_audited(ben: str, service: PythonExecutorService, home: Path) -> None:
    card = await waiting(service)
    for _ in range(10):
        with pytest.raises(NotIdentifiedError, match="nobody's token"):
            await service.decide(card.run_id, Approve(card.digest), credential="osprey-wrong")
    with pytest.raises(NotIdentifiedError, match="wait a minute"):
        await service.decide(card.run_id, Approve(card.digest), credential=ben)
    kinds = [json.loads(line)["kind"] for line in (home / "audit.jsonl").read_bytes().splitlines()]
    assert kinds.count("sign-in refused") == 10


async def test_a_list_of_people_that_cannot_be_read_approves_nothing(
    ben: str, service: PythonExecutorService, home: Path
) -> None:
    from osprey_executor.errors import StorageError

    card = await waiting(service)
    (home / "people.json").write_text("[")
    with pytest.raises(StorageError, match="damaged"):
        await service.decide(card.run_id, Approve(card.digest))


async def test_a_simulated_machine_needs_no_token(ben: str, open_service: OpenService) -> None:
    async with open_service(approval__mode="all_code") as service:
        result = await service.run(own(CODE), decide=approve)
    assert (result.status, result.proof) == (RunStatus.SUCCEEDED, "system")


async def test_a_write_to_a_real_machine_says_who_approved_it_and_how_that_is_known(
    ben: str, home: Path, tmp_path: Path
) -> None:
    code = "from osprey_executor.runtime import write_channel\nwrite_channel('K:0', 1.5)\nresults = {}"
    async with (
        machine_with(1, tmp_path) as machine,
        PythonExecutorService.from_config(machine.config(), home=home) as service,
    ):
        with pytest.raises(AccessDeniedError):
            await service.run(own(code), decide=approve)
        assert machine.arrived() == {}
        [card] = await service.pending()
        result = await service.decide(card.run_id, Approve(card.digest), credential=ben)
        assert (result.effects, result.decided_by) == (MachineEffects.WRITTEN, "ben (known by token)")
        assert machine.arrived() == {"K:0": [1.5]}
