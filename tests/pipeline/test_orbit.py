"""Orbit correction where nobody simulates: a ring on a real IOC, approved by its envelope, and brought back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import yaml

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.control.connectors._child import Child
from osprey_executor.models import MachineEffects

from .conftest import own, settings
from .test_rehearsal import Asked

EXAMPLE = Path(__file__).parents[2] / "src/osprey_executor/examples/orbit_correction.py"
CORRECTORS = [f"VA:{plane}CM:{number:02d}:SP" for plane in "HV" for number in range(1, 17)]
LOOK = f"from osprey_executor.runtime import read_channels\nresults = read_channels({CORRECTORS!r})"


@pytest.fixture
async def config(tmp_path: Path) -> AsyncGenerator[dict[str, Any]]:
    limits = tmp_path / "limits.yml"
    limits.write_text(yaml.safe_dump({name: {"restorable": True} for name in CORRECTORS}))
    ring = await Child.start("osprey_executor.control.simulator", environment={})
    try:
        assert ring.process.stdout is not None
        told = json.loads(await asyncio.wait_for(ring.process.stdout.readline(), 60))
        address = {"address_list": [f"127.0.0.1:{told['port']}"]}
        yield settings(
            control_system__type="epics", control_system__epics=address, control_system__limits_database=str(limits)
        )
    finally:
        await ring.stop()


async def test_the_orbit_is_corrected_within_its_envelope_and_the_correctors_come_back(
    config: dict[str, Any], home: Path
) -> None:
    async with PythonExecutorService.from_config(config, home=home) as service:
        before = (await service.run(own(LOOK))).results
        asked = Asked(envelope=True)
        result = await service.run(own(EXAMPLE.read_text()), decide=asked)
        assert result.error is None
        assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN)
        [card] = asked.cards
        assert card.plan is not None
        assert card.plan.feedback_dependent
        assert not card.plan.simulated
        assert card.envelope is not None
        ranges = {one.channel: (one.low, one.high) for one in card.envelope.channels}
        assert ranges == dict.fromkeys(CORRECTORS, (-5.0, 5.0))
        for plane in "xy":
            assert result.results[f"rms_{plane}_after_um"] < 0.5 * result.results[f"rms_{plane}_before_um"]
        assert {write.channel for write in result.writes if write.confirmed} == {*CORRECTORS}
        moved = (await service.run(own(LOOK))).results
        assert all(moved[name] != before[name] for name in CORRECTORS)

        restoring = await service.restoring(result.run_id)
        assert {one.channel for one in restoring.channels} == {*CORRECTORS}
        assert restoring.left == ()
        restored = await service.restore(restoring, decide=lambda card: Approve(card.digest))
        assert (restored.status, restored.error) == (RunStatus.SUCCEEDED, None)
        assert (await service.run(own(LOOK))).results == before
