"""A grant allows what the card showed, and whoever leaves it by anything writes nothing more."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from osprey_executor.approval import build_card, issue_grant, plan_digest
from osprey_executor.config import config_from
from osprey_executor.control.broker._command import Command
from osprey_executor.errors import WriteRefused
from osprey_executor.models import (
    AnalysisReport,
    ApprovalCard,
    ChannelStart,
    ControlSystemReport,
    IsolationReport,
    Limits,
    Plan,
    PlannedWrite,
    PythonExecutionRequest,
)
from osprey_executor.pipeline.permit import permit_for

KEY = b"k" * 32
NOW = datetime.now(UTC)
CONTROL = ControlSystemReport(type="epics", real=True, writes_enabled=True)


def card_of(
    *writes: tuple[str, Any], timeout: float = 600.0, max_step: float | None = None, **changes: Any
) -> ApprovalCard:
    start = {
        channel: ChannelStart(value=0.0, shown="0.0", low=-5.0, high=5.0, max_step=max_step) for channel, _ in writes
    }
    made = tuple(
        PlannedWrite(index=index, channel=channel, value=value, shown=str(value), tolerance=0.01)
        for index, (channel, value) in enumerate(writes, 1)
    )
    return build_card(
        run_id="r1",
        request=PythonExecutionRequest(user_query="x"),
        code="",
        report=AnalysisReport(),
        reason="",
        isolation=IsolationReport(),
        control=CONTROL,
        engine_identity={},
        limits=Limits(timeout=timeout),
        inputs={},
        generator="user",
        now=NOW,
        expiry=3600.0,
        plan=Plan(writes=made, start=start, **changes),
    )


def permit_of(card: ApprovalCard, *, envelope: bool = False, now: datetime | None = None) -> Any:
    chosen = card.envelope.digest if envelope and card.envelope else card.digest
    grant = issue_grant(card, chosen=chosen, approver="ada", key=KEY, now=now or NOW)
    return permit_for(config_from({}), CONTROL, grant, card, KEY)


PLAN = (("A", 1.0), ("B", "on"), ("A", 2.0), ("ROW", (1.0, 2.0)))


def write(permit: Any, channel: str, value: Any) -> None:
    permit.allows(channel)
    permit.check(channel, value)
    permit.wrote(channel, value)


def test_a_text_is_not_the_command_that_it_reads_like() -> None:
    card = card_of(("A", "call {}"))
    with pytest.raises(WriteRefused, match="not as call"):
        permit_of(card).check("A", Command.of({}))
    permit_of(card).check("A", "call {}")
    assert card.plan is not None
    [write] = card.plan.writes
    command = card.plan.model_copy(update={"writes": (write.model_copy(update={"command": True}),)})
    assert plan_digest(command) != plan_digest(card.plan)


def test_exactly_the_plan_in_its_order_passes() -> None:
    permit = permit_of(card_of(*PLAN))
    assert permit.unmade == "4 of 4 approved writes were not made: A = 1.0, B = on, A = 2.0, ROW = (1.0, 2.0)"
    for channel, value in PLAN:
        assert permit.unmade is not None
        write(permit, channel, value)
    assert (permit.left, permit.unmade) == (None, None)
    with pytest.raises(WriteRefused, match="4 writes were approved, and this would be one more"):
        permit.check("A", 2.0)


def test_writes_of_one_call_are_checked_at_their_places() -> None:
    permit = permit_of(card_of(*PLAN))
    permit.check("A", 1.0)
    permit.check("B", "on", 1)
    permit.check("A", 2.0, 2)
    with pytest.raises(WriteRefused, match="write 2 was approved for B, not for A"):
        permit.check("A", 1.0, 1)


@pytest.mark.parametrize(
    ("channel", "value", "words"),
    [
        ("A", 1.02, "write 1 was approved as A = 1.0 within 0.01"),
        ("A", "1.0", "write 1 was approved as A"),
        ("B", "on", "write 1 was approved for A, not for B"),
        ("C", 1.0, "C is not in the plan"),
        ("A.DRVH", 1.0, "A.DRVH is not in the plan"),
    ],
)
def test_whoever_leaves_the_plan_writes_nothing_more(channel: str, value: Any, words: str) -> None:
    permit = permit_of(card_of(*PLAN))
    with pytest.raises(WriteRefused, match=words.replace(".", r"\.")):
        write(permit, channel, value)
    assert permit.left
    with pytest.raises(WriteRefused, match="has left what was approved, and writes nothing more"):
        write(permit, "A", 1.0)


def test_within_the_tolerance_of_the_card_it_passes() -> None:
    permit = permit_of(card_of(*PLAN))
    write(permit, "A", 1.009)


def test_a_grant_that_has_expired_allows_nothing() -> None:
    card = card_of(*PLAN)
    soon = card.model_copy(update={"expires_at": datetime.now(UTC) + timedelta(microseconds=1)})
    permit = permit_of(soon)
    with pytest.raises(WriteRefused, match="expired"):
        write(permit, "A", 1.0)


def test_another_plan_than_the_granted_one_is_no_permit() -> None:
    card, other = card_of(*PLAN), card_of(("A", 5.0))
    grant = issue_grant(card, chosen=card.digest, approver="ada", key=KEY, now=NOW)
    with pytest.raises(WriteRefused, match="another than the one that was approved"):
        permit_for(config_from({}), CONTROL, grant, other, KEY)


@pytest.mark.parametrize(
    ("writes", "words"),
    [
        ([("A", 5.5)], "approved from -5 to 5"),
        ([("A", -5.5)], "approved from -5 to 5"),
        ([("A", "on")], "approved from -5 to 5"),
        ([("A", True)], "approved from -5 to 5"),
        ([("A", 1.5)], "in steps of 1 at most"),
        ([("A", 1.0), ("A", 2.5)], "in steps of 1 at most"),
        ([("C", 0.0)], "C is not in the envelope"),
        ([("A", 0.0)] * 101, "100 writes to A were approved, this would be one more"),
    ],
)
def test_whoever_leaves_the_envelope_writes_nothing_more(writes: list[tuple[str, Any]], words: str) -> None:
    permit = permit_of(card_of(("A", 1.0), max_step=1.0, feedback_dependent=True), envelope=True)
    *fitting, last = writes
    for channel, value in fitting:
        write(permit, channel, value)
    with pytest.raises(WriteRefused, match=words):
        write(permit, *last)
    with pytest.raises(WriteRefused, match="has left what was approved"):
        write(permit, "A", 0.0)


def test_any_order_and_any_value_within_the_envelope_passes() -> None:
    permit = permit_of(card_of(("A", 1.0), ("B", 1.0), feedback_dependent=True), envelope=True)
    for channel, value in (("B", -4.0), ("A", 4.9), ("B", 5.0), ("A", -5.0)):
        write(permit, channel, value)
    assert permit.left is None


def test_an_envelope_ends_with_its_time() -> None:
    permit = permit_of(card_of(("A", 1.0), timeout=1e-6, feedback_dependent=True), envelope=True)
    with pytest.raises(WriteRefused, match="of the envelope are over"):
        write(permit, "A", 0.0)


def test_where_writes_are_switched_off_there_is_no_permit() -> None:
    card = card_of(*PLAN)
    grant = issue_grant(card, chosen=card.digest, approver="ada", key=KEY, now=NOW)
    off = CONTROL.model_copy(update={"writes_enabled": False})
    assert permit_for(config_from({}), off, grant, card, KEY) is None
    assert permit_for(config_from({"approval": {"mode": "disabled"}}), CONTROL, None, None, KEY) is None


def test_a_clock_that_is_set_back_prolongs_no_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    permit = permit_of(card_of(*PLAN))
    permit.check("A", 1.0)
    started = time.monotonic()
    monkeypatch.setattr("osprey_executor.pipeline.permit.time.monotonic", lambda: started + 3601)
    with pytest.raises(WriteRefused, match="expired"):
        permit.check("A", 1.0)
