"""What a run has changed is brought back by a run of its own, and only where nobody else has a hand in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor import Approve, PythonExecutorService, Reject, RunStatus
from osprey_executor.control import StopSwitch
from osprey_executor.errors import InvalidRequestError, WriteRefused
from osprey_executor.models import ApprovalCard, MachineEffects, RestoredChannel, Restoring, RunResult
from osprey_executor.pipeline.restoring import is_restore, restore_request

from .conftest import OpenService, own

IMPORT = "from osprey_executor.runtime import *\n"
MOVE = IMPORT + (
    "before = read_channels(['MAG:1:SP', 'MAG:2:SP', 'MAG:3:SP'])\n"
    "write_channel('MAG:1:SP', before['MAG:1:SP'] + 0.5)\n"
    "write_channel('MAG:2:SP', before['MAG:2:SP'] + 2.5)\n"
    "write_channel('MAG:1:SP', before['MAG:1:SP'] + 1.0)\n"
    "write_channel('MAG:3:SP', 7.0)\n"
    "results = before\n"
)
LIMITS = "MAG:1:SP: {restorable: true}\nMAG:2:SP: {restorable: true, max_step: 1}\nMAG:3:SP: {}\n"
LOOK = IMPORT + "results = read_channels(['MAG:1:SP', 'MAG:2:SP', 'MAG:3:SP'])"


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)


async def moved(service: PythonExecutorService, code: str = MOVE) -> RunResult:
    result = await service.run(own(code), decide=approve)
    assert result.error is None
    assert result.effects is MachineEffects.WRITTEN
    return result


@pytest.fixture
def limits(tmp_path: Path) -> str:
    path = tmp_path / "limits.yml"
    # Without steps for what the test moves itself.
    path.write_text(LIMITS.replace("max_step: 1", "max_step: 3"))
    return str(path)


async def test_it_is_shown_asked_and_done_in_reverse_order_and_in_steps(open_service: OpenService, limits: str) -> None:
    async with open_service(control_system__limits_database=limits) as service:
        run = await moved(service)
        Path(limits).write_text(LIMITS)
        restoring = await service.restoring(run.run_id)
        assert [one.channel for one in restoring.channels] == ["MAG:2:SP", "MAG:1:SP"]
        assert [one.before for one in restoring.channels] == [run.results["MAG:2:SP"], run.results["MAG:1:SP"]]
        assert [(one.channel, one.reason) for one in restoring.left] == [
            ("MAG:3:SP", "the limits database does not call it restorable")
        ]
        cards: list[ApprovalCard] = []
        result = await service.restore(restoring, decide=lambda card: (cards.append(card), Approve(card.digest))[1])
        assert result.error is None
        assert (result.status, len(cards)) == (RunStatus.SUCCEEDED, 1)
        assert [write.channel for write in result.writes] == ["MAG:2:SP"] * 3 + ["MAG:1:SP"]
        assert result.task.startswith(f"Restore run {run.run_id}: 2 channels")
        now = (await service.run(own(LOOK))).results
        assert now == {**run.results, "MAG:3:SP": 7.0}
        again = await service.restoring(run.run_id)
        assert again.channels == ()
        with pytest.raises(InvalidRequestError, match="nothing of run"):
            await service.restore(again)


async def test_what_somebody_else_has_changed_is_left(open_service: OpenService) -> None:
    async with open_service() as service:
        run = await moved(service)
        await moved(service, IMPORT + "write_channel('MAG:2:SP', 0.125)\nresults = {}")
        restoring = await service.restoring(run.run_id)
        assert [one.channel for one in restoring.channels] == ["MAG:3:SP", "MAG:1:SP"]
        assert [(one.channel, one.reason) for one in restoring.left] == [
            ("MAG:2:SP", "somebody else has changed it since")
        ]
        await moved(service, IMPORT + "write_channel('MAG:1:SP', 0.125)\nresults = {}")
        with pytest.raises(InvalidRequestError, match="have changed since"):
            await service.restore(restoring, decide=approve)


async def test_it_may_be_rejected_and_nothing_happens_while_writes_are_stopped(
    open_service: OpenService, home: Path
) -> None:
    async with open_service() as service:
        run = await moved(service)
        restoring = await service.restoring(run.run_id)
        rejected = await service.restore(restoring, decide=lambda card: Reject("leave it"))
        assert (rejected.status, rejected.effects) == (RunStatus.REJECTED, MachineEffects.NONE)
        StopSwitch(home).stop("ada", "tea")
        with pytest.raises(WriteRefused, match="stopped by ada"):
            await service.restore(restoring, decide=approve)


async def test_a_run_that_wrote_nothing_leaves_nothing_to_restore(open_service: OpenService) -> None:
    async with open_service() as service:
        run = await service.run(own("results = {}"))
        restoring = await service.restoring(run.run_id)
        assert (restoring.channels, restoring.left) == ((), ())
        waiting = await service.run(own(MOVE))
        with pytest.raises(InvalidRequestError, match="has not ended"):
            await service.restoring(waiting.run_id)


def test_who_only_speaks_of_a_restore_is_followed_like_any_other() -> None:
    restoring = Restoring(run_id="r1", channels=(RestoredChannel(channel="A", present=1.0, before=0.0),))
    request = restore_request(restoring, "ada")
    assert is_restore(request)
    assert not is_restore(request.model_copy(update={"code": MOVE}))
    assert not is_restore(request.model_copy(update={"user_query": "Restore run r2: 1 channels"}))
