"""Ask on evidence: who tries no write is finished, who does is asked about exactly what it would write."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService, Reject, RunStatus
from osprey_executor.errors import (
    CodeSyntaxError,
    EngineUnavailableError,
    InvalidDecision,
    InvalidRequestError,
    PolicyDeniedError,
)
from osprey_executor.models import ApprovalCard, MachineEffects, RunResult
from osprey_executor.models.events import Figure, Finished

from .conftest import WRITE, OpenService, own
from .test_runs import scripted

IMPORT = "from osprey_executor.runtime import *\n"
LOOP = IMPORT + (
    "for _ in range(3):\n    write_channel('MAG:1:SP', read_channel('MAG:1:RB') + 1)\n"
    "results = {'seen': read_channel('MAG:1:RB')}\n"
)
LIMITS = "MAG:1:SP: {min_value: -50, max_value: 50}\n"


class Asked:
    """Approves the plan, or the envelope, and keeps the cards."""

    def __init__(self, envelope: bool = False) -> None:
        self.cards: list[ApprovalCard] = []
        self._envelope = envelope

    def __call__(self, card: ApprovalCard) -> Approve:
        self.cards.append(card)
        if self._envelope:
            assert card.envelope is not None
            return Approve(card.envelope.digest)
        return Approve(card.digest)


def folders(result: RunResult) -> set[str]:
    return {path.name for path in (result.folder / "attempts" / "1").iterdir()}


HARMLESS = [
    "results = {'x': max([1, 2])}",
    "model = type('M', (), {'eval': lambda self: 1, 'put': lambda self, x: x})()\nresults = {'x': model.eval()}",
    "eval('1 + 1')\nexec('x = 1')\nresults = {}",
    "import queue\nq = queue.Queue()\nq.put(1)\nresults = {'x': q.get()}",
    "caput = print\ncaput('A', 1)\nresults = {}",
    IMPORT + "results = {'x': read_channel('MAG:1:RB')}",
    IMPORT + "name = ''.join(['write_', 'channel'])\nresults = {'there': name in globals()}",
    IMPORT + "declare_writes({'MAG:1:SP': (0, 1)})\nresults = {}",
]


@pytest.mark.parametrize("code", HARMLESS)
async def test_who_tries_no_write_is_finished_and_ran_once(service: PythonExecutorService, code: str) -> None:
    counted = code + "\nprint('ran')"
    asked = Asked()
    result = await service.run(own(counted), decide=asked)
    assert result.error is None
    assert (result.status, result.effects, asked.cards) == (RunStatus.SUCCEEDED, MachineEffects.NONE, [])
    assert result.stdout.count("ran") == 1
    assert "rehearsal" not in folders(result)


WRITES = [
    WRITE,
    IMPORT + "globals()['write_' + 'channel']('MAG:1:SP', 1.5)\nresults = {'value': 1.5}",
    IMPORT + "exec(''.join(reversed(\")5.1 ,'PS:1:GAM'(lennahc_etirw\")))\nresults = {'value': 1.5}",
    "import importlib\nm = importlib.import_module('osprey_executor.runtime')\n"
    "getattr(m, 'write_channels')({'MAG:1:SP': 1.5})\nresults = {'value': 1.5}",
]


@pytest.mark.parametrize("code", WRITES)
async def test_every_write_asks_however_it_is_spelled(service: PythonExecutorService, code: str) -> None:
    asked = Asked()
    result = await service.run(own(code), decide=asked)
    assert result.error is None
    assert (result.status, result.results) == (RunStatus.SUCCEEDED, {"value": 1.5})
    [card] = asked.cards
    assert card.plan is not None
    assert [(one.channel, one.value) for one in card.plan.writes] == [("MAG:1:SP", 1.5)]
    assert [(one.channel, one.confirmed) for one in result.writes] == [("MAG:1:SP", True)]
    assert (result.folder / "attempts" / "1" / "rehearsal" / "plan.json").is_file()


async def test_nothing_is_written_before_the_decision(service: PythonExecutorService) -> None:
    waiting = await service.run(own(IMPORT + "write_channel('MAG:1:SP', 9.5)\nresults = {}"))
    assert waiting.status is RunStatus.AWAITING_APPROVAL
    assert not (waiting.folder / "journal.jsonl").exists()
    tried = (waiting.folder / "rehearsal-1.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in tried] == ["attempt", "rehearsed"]
    look = await service.run(own(IMPORT + "results = {'x': read_channel('MAG:1:SP')}"))
    assert look.results["x"] != 9.5
    assert (await service.decide(waiting.run_id, Reject("no"))).effects is MachineEffects.NONE


async def test_the_plan_is_granted_and_nothing_else(service: PythonExecutorService) -> None:
    # What it reads back differs once it has really written: from there on it leaves its plan.
    asked = Asked()
    result = await service.run(own(LOOP), decide=asked)
    [card] = asked.cards
    assert card.plan is not None
    assert card.plan.feedback_dependent_from == 3
    assert card.envelope is None  # the mock knows no limits, and none are configured
    assert (result.status, result.effects) == (RunStatus.REFUSED, MachineEffects.WRITTEN)
    assert len(result.writes) == 1
    assert result.error is not None
    assert (result.error.type, result.error.line) == ("WriteRefused", 3)
    assert "write 2 was approved as MAG:1:SP" in result.error.message


CATCHING = IMPORT + (
    "import os\n"
    "first = not os.path.exists('/tmp/none') and read_channel('MAG:1:RB')\n"
    "write_channel('MAG:1:SP', first)\n"
    "caught = 0\n"
    "for _ in range(3):\n"
    "    try: write_channel('MAG:1:SP', read_channel('MAG:1:RB') + 1)\n"
    "    except WriteRefused: caught += 1\n"
    "results = {'caught': caught}\n"
)


async def test_approved_writes_that_were_not_made_are_told(service: PythonExecutorService) -> None:
    code = IMPORT + (
        "before = read_channel('MAG:1:RB')\n"
        "write_channel('MAG:1:SP', before + 1)\n"
        "if read_channel('MAG:1:RB') == before: write_channel('MAG:1:SP', before + 2)\n"
        "results = {}\n"
    )
    result = await service.run(own(code), decide=Asked())
    assert (result.status, len(result.writes)) == (RunStatus.SUCCEEDED, 1)
    [note] = [note for note in result.notes if "approved" in note]
    assert note.startswith("1 of 2 approved writes were not made: MAG:1:SP = ")
    assert note in (result.folder / "manifest.json").read_text()
    whole = await service.run(own(WRITE), decide=Asked())
    assert not [note for note in whole.notes if "approved" in note]


async def test_who_catches_the_refusal_is_stopped_all_the_same(service: PythonExecutorService) -> None:
    result = await service.run(own(CATCHING), decide=Asked())
    assert (result.status, result.partial) == (RunStatus.REFUSED, True)
    assert result.error is not None
    assert "the run was stopped" in result.error.message
    assert len(result.refusals) >= 2


async def test_the_envelope_lets_a_closed_loop_write(open_service: OpenService, tmp_path: Path) -> None:
    (tmp_path / "limits.yml").write_text(LIMITS)
    async with open_service(control_system__limits_database=str(tmp_path / "limits.yml")) as service:
        asked = Asked(envelope=True)
        result = await service.run(own(LOOP), decide=asked)
        assert result.error is None
        assert (result.status, len(result.writes)) == (RunStatus.SUCCEEDED, 3)
        [card] = asked.cards
        assert card.envelope is not None
        [channel] = card.envelope.channels
        assert (channel.low, channel.high, channel.writes) == (-50.0, 50.0, 100)
        waiting = await service.run(own(LOOP))
        with pytest.raises(InvalidDecision, match="not of the card"):
            await service.decide(waiting.run_id, Approve(card.envelope.digest))  # of the other run's card


async def test_the_envelope_ends_where_it_ends(open_service: OpenService, tmp_path: Path) -> None:
    (tmp_path / "limits.yml").write_text("MAG:1:SP: {min_value: -50, max_value: 50}\nMAG:2:SP: {max_value: 9}\n")
    code = IMPORT + (
        "declare_writes({'MAG:1:SP': (0, 2)})\n"
        "moved = read_channel('MAG:1:RB') == 1.0\n"
        "write_channel('MAG:1:SP', 1.0)\n"
        "moved = read_channel('MAG:1:RB') == 1.0\n"
        "if moved: write_channel(*{})\n"
        "results = {}\n"
    )
    for beyond, words in (
        ("'MAG:1:SP', 2.5", "approved from 0 to 2"),
        ("'MAG:2:SP', 1.0", "MAG:2:SP is not in the envelope"),
    ):
        async with open_service(control_system__limits_database=str(tmp_path / "limits.yml")) as service:
            program = code.replace("*{}", beyond)
            result = await service.run(own(program), decide=Asked(envelope=True))
        assert result.status is RunStatus.REFUSED, result
        assert len(result.writes) == 1
        assert result.error is not None
        assert words in result.error.message


GROUPED = """
MAG:1:SP: {min_value: -50, max_value: 50}
MAG:2:SP: {min_value: -50, max_value: 50}
groups:
  bump: {channels: ["MAG:?:SP"], max_total_excursion: 3}
"""


@pytest.mark.parametrize("there", [True, False], ids=["groups", "canary without them"])
async def test_an_envelope_is_bounded_by_its_group_which_stands_on_the_card(
    open_service: OpenService, tmp_path: Path, there: bool
) -> None:
    (tmp_path / "limits.yml").write_text(GROUPED if there else GROUPED.partition("groups:")[0])
    code = IMPORT + (
        "declare_writes({'MAG:1:SP': (-9, 9), 'MAG:2:SP': (-9, 9)})\n"
        "start = read_channel('MAG:2:SP')\n"
        "write_channel('MAG:1:SP', read_channel('MAG:1:SP') + 2)\n"
        "moved = read_channel('MAG:1:RB') == read_channel('MAG:1:SP')\n"
        "write_channel('MAG:2:SP', start - (1.5 if moved else 0.5))\n"
        "results = {}\n"
    )
    async with open_service(control_system__limits_database=str(tmp_path / "limits.yml")) as service:
        asked = Asked(envelope=True)
        result = await service.run(own(code), decide=asked)
    [card] = asked.cards
    if not there:
        assert (result.status, len(result.writes)) == (RunStatus.SUCCEEDED, 2)
        return
    assert card.plan is not None
    assert len(card.plan.writes) == 2
    assert card.rules == ("Group bump (MAG:?:SP): their distances from the start add up to 3 at most",)
    assert (result.status, len(result.writes)) == (RunStatus.REFUSED, 1)
    assert "all its channels together 3.5 away" in result.refusals[0].reason


async def test_a_knob_turned_by_somebody_else_is_a_conflict(service: PythonExecutorService) -> None:
    waiting = await service.run(own(WRITE))
    other = IMPORT + "write_channel('MAG:1:SP', 0.25)\nresults = {}"
    assert (await service.run(own(other), decide=Asked())).status is RunStatus.SUCCEEDED
    result = await service.decide(waiting.run_id, Approve(waiting.digest or ""))
    assert (result.status, result.effects, result.writes) == (RunStatus.REFUSED, MachineEffects.NONE, ())
    assert result.error is not None
    assert result.error.type == "WriteConflictError"
    assert "it is 0.25, where the card showed" in result.error.message
    assert [refusal.rule for refusal in result.refusals] == ["conflict"]


async def test_a_failure_by_itself_goes_back_and_troubles_nobody(open_service: OpenService) -> None:
    generator = scripted(IMPORT + "write_channel('MAG:1:SP', 1.5)\n1 / 0\nresults = {}", WRITE)
    asked = Asked()
    async with open_service(generator) as service:
        result = await service.run(PythonExecutionRequest(user_query="x"), decide=asked)
    assert result.status is RunStatus.SUCCEEDED
    assert [card.attempt for card in asked.cards] == [2]
    assert "ZeroDivisionError" in str(result.attempts[0].error)


async def test_a_missing_result_goes_back_before_anybody_is_asked(open_service: OpenService) -> None:
    generator = scripted(IMPORT + "write_channel('MAG:1:SP', 1.5)\nresults = {'other': 1}", WRITE)
    asked = Asked()
    async with open_service(generator) as service:
        request = PythonExecutionRequest(user_query="x", expected_results={"value": "float"})
        result = await service.run(request, decide=asked)
    assert (result.status, len(asked.cards)) == (RunStatus.SUCCEEDED, 1)


async def test_own_code_that_fails_by_itself_fails_and_nothing_was_written(service: PythonExecutorService) -> None:
    result = await service.run(own(IMPORT + "write_channel('MAG:1:SP', 1.5)\n1 / 0"))
    assert (result.status, result.effects) == (RunStatus.FAILED, MachineEffects.NONE)
    assert any("none of its 1 writes reached the machine" in note for note in result.notes)


async def test_a_failure_that_depends_on_the_machine_is_inconclusive(service: PythonExecutorService) -> None:
    code = IMPORT + (
        "write_channel('MAG:1:SP', 1.5)\nassert read_channel('MAG:1:RB') == 1.5, 'did not move'\nresults = {'ok': True}"
    )
    asked = Asked()
    result = await service.run(own(code), decide=asked)
    assert result.error is None
    assert (result.status, result.results) == (RunStatus.SUCCEEDED, {"ok": True})
    assert any(
        "did not come to its end (failed: AssertionError: did not move (line 3))" in told
        for told in asked.cards[0].unknowns
    )


async def test_its_time_begins_with_its_first_write(open_service: OpenService) -> None:
    sleep = "import time\ntime.sleep(1.0)\n"
    async with open_service(approval__rehearsal_timeout=0.3) as service:
        quiet = await service.run(own(sleep + "results = {'slept': True}"))
        assert quiet.results == {"slept": True}
        asked = Asked()
        result = await service.run(
            own(IMPORT + "write_channel('MAG:1:SP', 1.5)\n" + sleep + "results = {}"), decide=asked
        )
    assert result.status is RunStatus.SUCCEEDED
    assert any("went on for more than 0.3 s" in told for told in asked.cards[0].unknowns)


async def test_all_code_asks_to_start_and_again_to_write(open_service: OpenService) -> None:
    asked = Asked()
    async with open_service(approval__mode="all_code") as service:
        result = await service.run(own(WRITE), decide=asked)
        assert result.status is RunStatus.SUCCEEDED
        assert [card.plan is None for card in asked.cards] == [True, False]
        quiet = await service.run(own("results = {}"), decide=asked)
        assert quiet.status is RunStatus.SUCCEEDED
    assert len(asked.cards) == 3


async def test_a_start_approves_no_write(open_service: OpenService) -> None:
    async with open_service(approval__mode="all_code") as service:
        waiting = await service.run(own(WRITE))
        again = await service.decide(waiting.run_id, Approve(waiting.digest or ""))
        assert again.status is RunStatus.AWAITING_APPROVAL
        assert again.effects is MachineEffects.NONE
        assert again.digest != waiting.digest
        with pytest.raises(InvalidDecision, match="not of the card"):
            await service.decide(waiting.run_id, Approve(waiting.digest or ""))


async def test_canary_with_the_overlay_off_the_rehearsal_writes(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osprey_executor.control.broker._overlay import Overlay

    async def through(self: Overlay, channel: str, value: Any) -> Any:
        return await self.machine.write(channel, value)

    monkeypatch.setattr(Overlay, "write", through)
    await service.run(own(IMPORT + "write_channel('MAG:1:SP', 9.5)\nresults = {}"))
    look = await service.run(own(IMPORT + "results = {'x': read_channel('MAG:1:SP')}"))
    assert look.results["x"] == 9.5


async def test_canary_without_the_permit_any_write_would_pass(
    service: PythonExecutorService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osprey_executor.pipeline.permit import PlanPermit

    monkeypatch.setattr(PlanPermit, "check", lambda self, channel, value, ahead=0: None)
    result = await service.run(own(LOOP), decide=Asked())
    assert (result.status, len(result.writes)) == (RunStatus.SUCCEEDED, 3)


async def test_rehearse_alone_makes_no_run_and_asks_nobody(open_service: OpenService, home: Path) -> None:
    async with open_service(control_system__writes_enabled=False) as service:
        rehearsal = await service.rehearse(own(LOOP + "print('done')"))
        assert await service.runs() == []
        with pytest.raises(CodeSyntaxError, match=r"line 2: invalid syntax \(read as Python .*\): y = = 1"):
            await service.rehearse(own("x = 1\ny = = 1\n"))
        with pytest.raises(InvalidRequestError, match="give a program"):
            await service.rehearse(PythonExecutionRequest(user_query="x"))
    assert [(one.channel, one.line) for one in rehearsal.plan.attempted] == [("MAG:1:SP", 3)] * 3
    assert rehearsal.plan.feedback_dependent_from == 3
    assert rehearsal.outcome is not None
    assert rehearsal.outcome.stdout == f"{SAID}\ndone\n"
    assert (rehearsal.folder / "plan.json").is_file()
    assert rehearsal.folder.parent == home / "rehearsals"


async def test_rehearse_alone_is_refused_where_it_might_touch_the_machine(open_service: OpenService) -> None:
    async with open_service(
        execution__isolation="none",
        control_system__type="epics",
        control_system__epics={"address_list": ["127.0.0.1:1"]},
    ) as service:
        with pytest.raises(EngineUnavailableError, match="not proven"):
            await service.rehearse(own("results = {}"))
    async with open_service(analysis__deny=["process"]) as service:
        with pytest.raises(PolicyDeniedError):
            await service.rehearse(own("import subprocess\nsubprocess.run(['ls'])"))


async def test_cancelling_a_rehearsal_ends_it(service: PythonExecutorService) -> None:
    code = IMPORT + "write_channel('MAG:1:SP', 1.5)\nprint('up', flush=True)\nimport time\ntime.sleep(60)"
    async for event in service.stream(own(code)):
        if event.kind == "output":
            await asyncio.create_task(service.cancel(event.run_id))
        if event.kind == "finished":
            result = event.result
    assert (result.status, result.effects) == (RunStatus.CANCELLED, MachineEffects.NONE)


DRAWN = """
import matplotlib.pyplot as plt
from osprey_executor.runtime import read_channel, write_channel
write_channel("MAG:1:SP", 1.5)
plt.plot([1, read_channel("MAG:1:SP")])
plt.savefig("saved.png")
print("drawn")
results = {"x": 1}
"""
SAID = "[rehearsal: nothing was written]"


def marked(picture: Path) -> bool:
    return np.asarray(Image.open(picture))[0, 0].tolist() == [255, 191, 0, 255]


async def test_what_a_rehearsal_drew_says_so_and_the_run_itself_does_not(service: PythonExecutorService) -> None:
    watched: list[bool] = []
    waiting: RunResult | None = None
    async for event in service.stream(own(DRAWN)):
        if isinstance(event, Figure):
            watched.append(marked(event.path))
        if isinstance(event, Finished):
            waiting = event.result
    assert waiting is not None
    assert waiting.status is RunStatus.AWAITING_APPROVAL
    assert watched == [True]
    card = await service.card(waiting.run_id)
    kept = waiting.folder / "attempts" / "1" / "rehearsal"
    assert [marked(path) for path in (*card.figures, kept / "artifacts" / "saved.png")] == [True, True]
    assert card.output.startswith(SAID)
    assert (kept / "stdout.txt").read_text() == f"{SAID}\ndrawn\n"
    result = await service.decide(waiting.run_id, Approve(card.digest))
    assert (result.status, result.stdout) == (RunStatus.SUCCEEDED, "drawn\n")
    assert [marked(path) for path in (*result.figures, *result.artifacts)] == [False, False]
    record = [path for path in result.folder.rglob("*") if path.is_file() and not path.is_relative_to(kept)]
    said = {path.name for path in record if SAID[1:-1].encode() in path.read_bytes()}
    assert not said & {"notebook.ipynb", "stdout.txt", "outcome.json", "results.json", "manifest.json"}


async def test_who_writes_nothing_or_fails_before_anybody_is_asked(service: PythonExecutorService) -> None:
    reads = await service.run(own("import matplotlib.pyplot as plt\nplt.plot([1])\nprint('x')\nresults = {}"))
    assert ([marked(path) for path in reads.figures], reads.stdout) == ([False], "x\n")
    failed = await service.run(own(DRAWN + "raise SystemExit(3)"))
    assert failed.status is RunStatus.FAILED
    assert ([marked(path) for path in failed.figures], failed.stdout) == ([True], f"{SAID}\ndrawn\n")


async def test_a_rehearsal_by_itself_marks_them(service: PythonExecutorService) -> None:
    rehearsal = await service.rehearse(own(DRAWN))
    assert rehearsal.outcome is not None
    assert [marked(path) for path in (*rehearsal.outcome.figures, *rehearsal.outcome.artifacts)] == [True, True]
    assert (
        rehearsal.outcome.notes[-1]
        == "rehearsal: nothing was written; its output, and its PNG and SVG pictures, are marked so"
    )
