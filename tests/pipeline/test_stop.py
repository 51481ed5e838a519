"""Writes that somebody stopped are refused, though they were approved."""

from __future__ import annotations

from pathlib import Path

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.control import StopSwitch
from osprey_executor.models import MachineEffects

from .conftest import WRITE, OpenService, own


async def test_an_approved_run_writes_nothing_once_writes_are_stopped(
    service: PythonExecutorService, home: Path
) -> None:
    StopSwitch(home).stop("ann", "beam is lost")
    result = await service.run(own(WRITE), decide=lambda card: Approve(card.digest))
    assert result.status is RunStatus.REFUSED
    assert result.effects is MachineEffects.NONE
    assert [refusal.reason.endswith(": beam is lost") for refusal in result.refusals] == [True]
    [probe] = [probe for probe in await service.doctor() if probe.name == "kill switch"]
    assert probe.outcome == "failed"
    StopSwitch(home).release("ann")
    result = await service.run(own(WRITE), decide=lambda card: Approve(card.digest))
    assert result.status is RunStatus.SUCCEEDED
    assert result.effects is MachineEffects.WRITTEN


async def test_who_is_asked_can_know_that_writes_are_stopped(open_service: OpenService, home: Path) -> None:
    site = home.parent / "site-stop"
    async with open_service(control_system__stop_file=str(site)) as service:
        waiting = await service.run(own(WRITE))
        card = await service.card(waiting.run_id)
        assert await service.in_the_way(card) == ()
        StopSwitch(home).stop("ann", "beam is lost")
        [told] = await service.in_the_way(card)
        assert told.startswith("writes are stopped by ann since ")
        StopSwitch(home).release("ann")
        site.touch()
    # Another process, which has opened no machine; it takes the configuration from the run.
    async with open_service() as other:
        assert await other.in_the_way(card) == (f"writes are stopped: {site} is there",)
        site.unlink()
        assert await other.in_the_way(card) == ()
        before = card.model_copy(update={"plan": None})
        site.touch()
        assert await other.in_the_way(before) == ()


async def test_a_stop_channel_is_read_for_whoever_only_looks(open_service: OpenService) -> None:
    async with open_service(control_system__stop_channel="MAG:2:SP") as service:
        waiting = await service.run(own(WRITE))
        card = await service.card(waiting.run_id)
    async with open_service() as other:
        [told] = await other.in_the_way(card)
        assert told.startswith("writes are stopped at the machine: MAG:2:SP is ")
