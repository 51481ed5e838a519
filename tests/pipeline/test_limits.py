"""The limits database through the whole pipeline: on the card, in the digest, in the result, in doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor import Approve, RunStatus
from osprey_executor.interfaces.cli.card import card_text
from osprey_executor.models import ApprovalCard, Decision, MachineEffects

from .conftest import WRITE, OpenService, own

LIMITS = "MAG:1:SP: {min_value: 0, max_value: 2, max_step: 10}\n"
TOO_FAR = WRITE.replace("1.5", "2.5")
CAUGHT = """
from osprey_executor.runtime import ChannelLimitsViolationError, write_channels
try:
    write_channels({"MAG:1:SP": 2.5})
except ChannelLimitsViolationError as error:
    results = {"why": str(error)}
"""
BOTH = """
from osprey_executor.runtime import read_channels, write_channels
write_channels({"MAG:1:SP": 2.5, "MAG:2:SP": 1.0})
results = read_channels(["MAG:2:SP"])
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "limits.yml"
    path.write_text(LIMITS)
    return path


async def approve(card: ApprovalCard) -> Decision:
    return Approve(card.digest)


async def test_the_card_shows_the_limits_and_the_result_says_which(open_service: OpenService, file: Path) -> None:
    cards: list[ApprovalCard] = []

    async def decide(card: ApprovalCard) -> Decision:
        cards.append(card)
        return Approve(card.digest)

    async with open_service(control_system__limits_database=str(file)) as service:
        result = await service.run(own(WRITE), decide=decide)
        refused = await service.run(own(TOO_FAR), decide=decide)
        caught = await service.run(own(CAUGHT), decide=decide)
    assert result.status is RunStatus.SUCCEEDED
    assert result.control_system is not None
    assert result.control_system.limits is not None
    [card, *_] = cards
    assert card.control_system.limits == result.control_system.limits
    assert card.limits == {"MAG:1:SP": "0 to 2, step 10"}
    text = card_text(card)
    assert "0 to 2, step 10" in text
    assert f"1 channel in {file}" in " ".join(text.split())
    assert (refused.status, refused.effects) == (RunStatus.REFUSED, MachineEffects.NONE)
    assert refused.error is not None
    assert (refused.error.type, refused.error.line) == ("ChannelLimitsViolationError", 3)
    assert "MAG:1:SP = 2.5: refused: above max_value 2" in refused.error.message
    assert caught.status is RunStatus.SUCCEEDED
    assert "above max_value 2" in caught.results["why"]
    assert [(one.rule, one.skipped) for one in caught.refusals] == [("max_value", False)]


async def test_canary_without_the_database_the_same_program_writes(open_service: OpenService) -> None:
    async with open_service() as service:
        result = await service.run(own(TOO_FAR), decide=approve)
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)


@pytest.mark.parametrize("after", [LIMITS.replace("2,", "2000,"), f"{LIMITS}# a remark\n", "MAG:1:SP: [", None])
async def test_a_database_that_changed_after_the_card_voids_the_approval(
    open_service: OpenService, file: Path, after: str | None
) -> None:
    async with open_service(control_system__limits_database=str(file)) as service:
        waiting = await service.run(own(WRITE))
        if after is None:
            file.unlink()
        else:
            file.write_text(after)
        card = await service.card(waiting.run_id)
        result = await service.decide(waiting.run_id, Approve(card.digest))
        assert (result.status, result.effects) == (RunStatus.REFUSED, MachineEffects.NONE)
        assert result.error is not None
        assert "the limits database changed since the card was shown" in result.error.message
        file.write_text(LIMITS)
        again = await service.run(own(WRITE), decide=approve)
        assert again.status is RunStatus.SUCCEEDED


async def test_with_an_unreadable_database_nothing_is_written(open_service: OpenService, file: Path) -> None:
    file.write_text("MAG:1:SP:\n  max_valu: 2\n")
    async with open_service(control_system__limits_database=str(file)) as service:
        result = await service.run(own(WRITE))  # nobody is asked about what could not be approved
        assert (result.status, result.effects) == (RunStatus.REFUSED, MachineEffects.NONE)
        assert "line 2: MAG:1:SP.max_valu is not a key; did you mean max_value?" in result.refusals[0].reason
        failed = {probe.name: probe.detail for probe in await service.doctor() if probe.outcome == "failed"}
    assert "line 2: MAG:1:SP.max_valu" in failed["limits database"]


async def test_doctor_names_the_database(open_service: OpenService, file: Path) -> None:
    async with open_service(control_system__limits_database=str(file)) as service:
        seen = {probe.name: probe for probe in await service.doctor()}
    assert (seen["limits database"].outcome, seen["limits database"].detail) == ("ok", f"{file}: 1 channel")


async def test_what_is_skipped_is_told_to_the_program_and_to_people_and_is_replayed(
    open_service: OpenService, file: Path
) -> None:
    file.write_text(f"on_violation: skip\n{LIMITS}MAG:2:SP: {{}}\n")
    async with open_service(control_system__limits_database=str(file)) as service:
        result = await service.run(own(BOTH), decide=approve)
        assert result.status is RunStatus.SUCCEEDED
        assert result.results == {"MAG:2:SP": 1.0}
        assert [write.channel for write in result.writes] == ["MAG:2:SP"]
        assert "MAG:1:SP = 2.5: left out: above max_value 2" in result.stderr
        assert [(one.channel, one.skipped) for one in result.refusals] == [("MAG:1:SP", True)]
        replay = await service.replay(result.run_id)
        assert replay.status is RunStatus.SUCCEEDED
        assert replay.results == result.results
        assert not [note for note in replay.notes if note.startswith("replay:")]
        assert "MAG:1:SP = 2.5: left out: above max_value 2" in replay.stderr
