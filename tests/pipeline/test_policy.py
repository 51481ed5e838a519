"""The rules of a site through the whole service: denied, allowed, asked of two, remembered; also after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osprey_executor import Approve, Edit, PythonExecutorService, Reject, RunStatus
from osprey_executor.access import People
from osprey_executor.errors import AccessDeniedError, InvalidDecision
from osprey_executor.models import ApprovalCard, MachineEffects, Role

from .conftest import WRITE, OpenService, own

TWO = {"approval__rules": [{"effects": "control_write", "channels": ["MAG:*"], "outcome": "ask_two"}]}
READ = "from osprey_executor.runtime import read_channel\nresults = {'value': read_channel('MAG:1:SP')}"


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


@pytest.fixture
def tokens(home: Path) -> dict[str, str]:
    people = People(home)
    roles = {"anna": [Role.REQUESTER, Role.APPROVER], "ben": [Role.APPROVER], "cleo": [Role.APPROVER]}
    return {name: people.add(name, some) for name, some in roles.items()}


async def waiting(service: PythonExecutorService, code: str = WRITE) -> ApprovalCard:
    return await service.card((await service.run(own(code, requester="anna"))).run_id)


async def test_two_persons_approve_and_neither_is_the_requester_nor_counts_twice(
    tokens: dict[str, str], open_service: OpenService
) -> None:
    async with open_service(**TWO) as service:
        card = await waiting(service)
        assert (card.persons, card.approved_by) == (2, ())
        yes = Approve(card.digest)
        with pytest.raises(AccessDeniedError, match="token of an approver"):
            await service.decide(card.run_id, yes, approver="ben")
        with pytest.raises(AccessDeniedError, match="anna asked for run"):
            await service.decide(card.run_id, yes, credential=tokens["anna"])
        result = await service.decide(card.run_id, yes, credential=tokens["ben"])
        assert (result.status, result.effects) == (RunStatus.AWAITING_APPROVAL, MachineEffects.NONE)
        with pytest.raises(InvalidDecision, match=r"ben has approved run .* already"):
            await service.decide(card.run_id, yes, credential=tokens["ben"])
    async with open_service(**TWO) as service:  # it survives a restart
        [card] = await service.pending()
        assert [(one.by, one.proof) for one in card.approved_by] == [("ben", "token")]
        result = await service.decide(card.run_id, yes, credential=tokens["cleo"])
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
    assert (result.approver, result.proof) == ("ben and cleo", "token and token")
    assert result.decided_by == "ben and cleo (known by token)"


async def test_a_rejection_by_anyone_ends_it_and_an_edit_starts_anew(
    tokens: dict[str, str], open_service: OpenService
) -> None:
    async with open_service(**TWO) as service:
        first = await waiting(service)
        await service.decide(first.run_id, Approve(first.digest), credential=tokens["ben"])
        edited = await service.decide(first.run_id, Edit(WRITE.replace("1.5", "1.6")), approver="cleo")
        assert edited.status is RunStatus.AWAITING_APPROVAL
        second = await service.card(first.run_id)
        assert (second.persons, second.approved_by) == (2, ())
        assert second.digest != first.digest
        await service.decide(first.run_id, Approve(second.digest), credential=tokens["ben"])
        result = await service.decide(first.run_id, Reject("no"))
    assert (result.status, result.effects) == (RunStatus.REJECTED, MachineEffects.NONE)


async def test_one_callback_is_one_person(tokens: dict[str, str], open_service: OpenService) -> None:
    async with open_service(**TWO) as service:
        result = await service.run(own(WRITE, requester="anna"), decide=approve, credential=tokens["ben"])
        assert result.status is RunStatus.AWAITING_APPROVAL
        card = await service.card(result.run_id)
        assert [one.by for one in card.approved_by] == ["ben"]
    async with open_service() as service:  # the canary: without the rule one is enough
        assert (await service.run(own(WRITE), decide=approve)).status is RunStatus.SUCCEEDED


async def test_what_a_rule_denies_is_refused_before_the_start_or_with_its_plan(open_service: OpenService) -> None:
    at_start = {"approval__rules": [{"requester": "agent-*", "outcome": "deny", "reason": "no agents here"}]}
    async with open_service(**at_start) as service:
        result = await service.run(own(READ, requester="agent-1"))
        assert result.status is RunStatus.REFUSED
        assert result.error is not None
        assert result.error.type == "PolicyDeniedError"
        assert "no agents here" in result.error.message
        assert (await service.run(own(READ, requester="anna"))).status is RunStatus.SUCCEEDED
    at_write = {"approval__rules": [{"channels": "MAG:1:*", "outcome": "deny", "reason": "not this magnet"}]}
    async with open_service(**at_write) as service:
        result = await service.run(own(WRITE), decide=approve)
        assert (result.status, result.effects) == (RunStatus.REFUSED, MachineEffects.NONE)
        assert "not this magnet" in str(result.error)
        other = await service.run(own(WRITE.replace("MAG:1", "MAG:2")), decide=approve)
        assert other.effects is MachineEffects.WRITTEN


async def test_a_rule_may_let_writes_to_a_simulated_machine_pass(open_service: OpenService) -> None:
    rules: list[dict[str, Any]] = [{"connector": "mock", "channels": "MAG:*", "outcome": "allow"}]
    async with open_service(approval__rules=rules) as service:
        result = await service.run(own(WRITE))
        assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
        assert (result.approver, result.digest) == (None, None)
        assert any("rule 1 of approval.rules" in note for note in result.notes)
        other = await service.run(own(WRITE.replace("MAG", "RF")))
        assert other.status is RunStatus.AWAITING_APPROVAL


async def test_the_card_of_a_rule_has_its_own_end_and_its_reason(open_service: OpenService) -> None:
    rules = [{"effects": "control_write", "outcome": "ask", "expiry": 60, "reason": "night shift"}]
    async with open_service(approval__rules=rules) as service:
        card = await waiting(service)
    assert (card.expires_at - card.created_at).total_seconds() == 60
    assert "night shift" in card.reason


async def test_rules_are_bound_by_the_approval(open_service: OpenService) -> None:
    from osprey_executor.approval import bound_by_policy
    from osprey_executor.config import config_from

    one, other = (
        config_from({"approval": {"rules": [{"outcome": outcome}]}}).approval for outcome in ("ask", "ask_two")
    )
    assert bound_by_policy(one, 1) != bound_by_policy(other, 1)
    assert bound_by_policy(one, 1) != bound_by_policy(one, 2)
    assert bound_by_policy(config_from({}).approval, 1) == {}, "cards from before there were rules still hold"


async def test_an_approval_is_remembered_for_exactly_the_same_program_where_the_approver_says_so(
    open_service: OpenService, home: Path
) -> None:
    async with open_service(approval__mode="all_code") as service:
        card = await waiting(service, READ)
        assert card.remember == 28800
        with pytest.raises(InvalidDecision, match="28800 s at most"):
            await service.decide(card.run_id, Approve(card.digest, remember=30000))
        assert (await service.decide(card.run_id, Approve(card.digest))).status is RunStatus.SUCCEEDED
        card = await waiting(service, READ)  # the canary: without the word it is asked about again
        result = await service.decide(card.run_id, Approve(card.digest, remember=3600), approver="ben")
        assert result.status is RunStatus.SUCCEEDED
    async with open_service(approval__mode="all_code") as service:
        again = await service.run(own(READ, requester="anna"))
        assert (again.status, again.approver) == (RunStatus.SUCCEEDED, "ben")
        assert any(card.run_id in note for note in again.notes)
        assert (await service.run(own(READ + "\n", requester="anna"))).status is RunStatus.AWAITING_APPROVAL
        assert (await service.run(own(READ, requester="eve"))).status is RunStatus.AWAITING_APPROVAL


async def test_nothing_that_could_write_is_remembered_nor_where_the_site_says_so(open_service: OpenService) -> None:
    async with open_service(approval__mode="all_code") as service:
        card = await waiting(service, WRITE)
        assert (card.plan, card.standing, card.remember) == (None, None, 0)
        with pytest.raises(InvalidDecision, match="cannot be remembered"):
            await service.decide(card.run_id, Approve(card.digest, remember=60))
    async with open_service(approval__mode="all_code", approval__remember=0) as service:
        assert (await waiting(service, READ)).remember == 0


async def test_what_was_remembered_ends_with_its_time_and_with_its_approver(
    tokens: dict[str, str], open_service: OpenService, home: Path
) -> None:
    async with open_service(approval__mode="all_code") as service:
        card = await waiting(service, READ)
        await service.decide(card.run_id, Approve(card.digest, remember=3600), credential=tokens["ben"])
        assert (await service.run(own(READ, requester="anna"))).status is RunStatus.SUCCEEDED
        People(home).give("ben", [Role.VIEWER])
        card = await waiting(service, READ)
        await service.decide(card.run_id, Approve(card.digest, remember=1e-6), credential=tokens["cleo"])
        assert (await service.run(own(READ, requester="anna"))).status is RunStatus.AWAITING_APPROVAL
