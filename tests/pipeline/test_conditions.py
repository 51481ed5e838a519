"""What the site demands of runs that write: preconditions, what aborts them, and what follows a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.config import config_from
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import ApprovalCard, MachineEffects, RunResult

from .conftest import WRITE, OpenService, own

IMPORT = "from osprey_executor.runtime import *\n"
OPEN = {"channel": "VALVE:1", "condition": "== 1"}
READY = IMPORT + "write_channel('VALVE:1', 1)\nresults = {}"


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


async def prepared(service: PythonExecutorService, code: str) -> None:
    """Write what is asked about by another service's rules on the same mock: the connector is that of the service."""
    equipment = await service._executor.equipment.of(service.config)
    for line in code.split(";"):
        channel, value = line.split("=")
        await equipment.broker.connector.write(channel.strip(), float(value))


async def test_a_precondition_holds_before_each_write_or_nothing_is_written(open_service: OpenService) -> None:
    cards: list[ApprovalCard] = []
    async with open_service(control_system__preconditions=[OPEN]) as service:
        await prepared(service, "VALVE:1=0")
        refused = await service.run(own(WRITE), decide=lambda card: (cards.append(card), approve(card))[1])
        assert (refused.status, refused.effects) == (RunStatus.REFUSED, MachineEffects.NONE)
        assert refused.error is not None
        assert "VALVE:1 == 1 does not hold: it is 0.0; nothing was executed" in refused.error.message
        assert cards[0].rules == ("Before the run and before each write: VALVE:1 == 1",)
        await prepared(service, "VALVE:1=1")
        assert (await service.run(own(WRITE), decide=approve)).status is RunStatus.SUCCEEDED


async def test_a_value_that_is_too_old_is_no_precondition(open_service: OpenService) -> None:
    async with open_service(control_system__preconditions=[{**OPEN, "age": 1e-6}]) as service:
        await prepared(service, "VALVE:1=1")
        refused = await service.run(own(WRITE), decide=approve)
    assert refused.error is not None
    assert "not older than 1e-06 s: its value is older" in refused.error.message


async def test_a_precondition_that_is_lost_during_the_run_refuses_the_next_write(open_service: OpenService) -> None:
    code = IMPORT + "write_channel('VALVE:1', 0)\nwrite_channel('MAG:1:SP', 1.5)\nresults = {}\n"
    async with open_service(control_system__preconditions=[OPEN]) as service:
        await prepared(service, "VALVE:1=1")
        result = await service.run(own(code), decide=approve)
    assert (result.status, [write.channel for write in result.writes]) == (RunStatus.REFUSED, ["VALVE:1"])
    assert "VALVE:1 == 1 does not hold: it is 0" in result.refusals[0].reason


SLOW = IMPORT + (
    "import time\nwrite_channel('MAG:1:SP', 1.5)\nwrite_channel('MAG:2:SP', 1.5)\nprint('written', flush=True)\n"
    "try:\n    time.sleep(1.5)\n    write_channel('MAG:1:SP', 2.5)\nexcept WriteRefused:\n    pass\nresults = {}\n"
)


@pytest.fixture
def limits(tmp_path: Path) -> str:
    path = tmp_path / "limits.yml"
    path.write_text(
        "MAG:1:SP: {restorable: true, stop_action: {value: 0}}\n"
        "MAG:2:SP: {restorable: true, stop_action: {channel: MAG:9:SP, value: 0.5}}\n"
    )
    return str(path)


async def aborted(service: PythonExecutorService, cards: list[ApprovalCard]) -> RunResult:
    stage = ""
    async for event in service.stream(own(SLOW), decide=lambda card: (cards.append(card), approve(card))[1]):
        if event.kind == "stage":
            stage = event.stage
        if event.kind == "output" and stage == "execution":
            await prepared(service, "LOSS:1=100")
        if event.kind == "finished":
            return event.result
    raise AssertionError("it did not end")


async def test_abort_ends_the_writing_and_brings_what_was_written_to_rest(
    open_service: OpenService, limits: str
) -> None:
    changes: dict[str, Any] = {
        "control_system__limits_database": limits,
        "control_system__abort_when": [{"channel": "LOSS:1", "condition": "> 50"}],
        # What ends the run is often what a precondition demands: the stop actions must not wait for that.
        "control_system__preconditions": [{"channel": "LOSS:1", "condition": "<= 50"}],
    }
    cards: list[ApprovalCard] = []
    async with open_service(**changes) as service:
        await prepared(service, "LOSS:1=0")
        result = await aborted(service, cards)
        equipment = await service._executor.equipment.of(service.config)
        now = await equipment.broker.connector.read(["MAG:1:SP", "MAG:2:SP", "MAG:9:SP"])
    assert result.error is not None
    assert (result.status, result.error.type) == (RunStatus.REFUSED, "RunAbortedError")
    assert "LOSS:1 > 50 holds: it is 100.0" in result.error.message
    assert {name: sample.value for name, sample in now.items()} == {"MAG:1:SP": 0, "MAG:2:SP": 1.5, "MAG:9:SP": 0.5}
    assert [(write.channel, write.value) for write in result.writes] == [
        ("MAG:1:SP", "1.5"),
        ("MAG:2:SP", "1.5"),
        ("MAG:9:SP", "0.5"),
        ("MAG:1:SP", "0.0"),
    ]
    assert "Nothing more is written, and stop actions follow, when LOSS:1 > 50" in cards[0].rules
    assert "Stop action, when the run is aborted: MAG:9:SP = 0.5" in cards[0].rules


async def test_canary_without_the_condition_it_goes_on(open_service: OpenService, limits: str) -> None:
    async with open_service(control_system__limits_database=limits) as service:
        result = await aborted(service, [])
    assert (result.status, [write.value for write in result.writes]) == (RunStatus.SUCCEEDED, ["1.5", "1.5", "2.5"])


FAILS = IMPORT + ("write_channel('MAG:1:SP', 1.5)\nassert read_channel('MAG:1:RB') != 1.5, 'it moved'\nresults = {}\n")


@pytest.mark.parametrize("policy", ["keep", "ask", "restore"])
async def test_what_follows_a_failure_is_what_the_card_said(
    open_service: OpenService, limits: str, policy: str
) -> None:
    cards: list[ApprovalCard] = []
    changes = {"control_system__limits_database": limits, "control_system__on_failure": policy}
    async with open_service(**changes) as service:
        await prepared(service, "MAG:1:SP=0.25")
        result = await service.run(
            own(FAILS), decide=lambda card: (cards.append(card), approve(card))[1], approver="ada"
        )
        assert (result.status, result.effects) == (RunStatus.FAILED, MachineEffects.WRITTEN)
        runs = await service.runs()
        equipment = await service._executor.equipment.of(service.config)
        value = (await equipment.broker.connector.read(["MAG:1:SP"]))["MAG:1:SP"].value
        if policy == "restore":
            assert (await service.result(runs[0].run_id)).approver == "ada (on_failure: restore)"
    told = [rule for rule in cards[0].rules if "After a failure" in rule]
    states = [run.state for run in runs]
    match policy:
        case "keep":
            assert (told, states, value) == ([], ["failed"], 1.5)
        case "ask":
            assert (len(told), states, value) == (1, ["awaiting_approval", "failed"], 1.5)
        case _:
            assert "AT ONCE" in told[0]
            assert (states, value) == (["succeeded", "failed"], 0.25)
            assert "has brought back 1 channels" in result.notes[-1]


@pytest.mark.parametrize(
    ("condition", "words"),
    [("10", "a sign and a value"), ("> ten", "finite number"), ("> nan", "finite number"), ("=> 3", "a sign")],
)
def test_a_condition_that_means_nothing_is_told(condition: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        config_from({"control_system": {"preconditions": [{"channel": "A", "condition": condition}]}})


async def test_the_card_tells_the_stop_actions_of_what_an_envelope_would_allow(
    open_service: OpenService, limits: str
) -> None:
    declared = "from osprey_executor import runtime\nruntime.declare_writes({'MAG:2:SP': (0, 1)})\n"
    async with open_service(control_system__limits_database=limits) as service:
        waiting = await service.run(own(declared + WRITE))
        rules = (await service.card(waiting.run_id)).rules
    assert "Stop action, when the run is aborted: MAG:9:SP = 0.5" in rules


async def test_the_card_says_where_nothing_would_follow(open_service: OpenService, tmp_path: Path) -> None:
    (tmp_path / "bare.yml").write_text("MAG:1:SP: {}\n")
    changes = {
        "control_system__limits_database": str(tmp_path / "bare.yml"),
        "control_system__abort_when": [{"channel": "LOSS:1", "condition": "> 1e9"}],
        "control_system__on_failure": "ask",
    }
    async with open_service(**changes) as service:
        waiting = await service.run(own(WRITE))
        rules = (await service.card(waiting.run_id)).rules
    assert "None of these channels has a stop action: an abort leaves them where they are then" in rules
    assert rules[-1] == "None of these channels is restorable: nothing would be brought back"
