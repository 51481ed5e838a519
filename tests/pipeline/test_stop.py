"""Writes that somebody stopped are refused, though they were approved."""

from __future__ import annotations

from pathlib import Path

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.control import StopSwitch
from osprey_executor.models import MachineEffects

from .conftest import WRITE, own


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
