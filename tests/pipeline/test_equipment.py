"""What configurations share."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from osprey_executor.config import config_from
from osprey_executor.pipeline.equipment import EquipmentPool


async def test_configurations_that_run_code_alike_share_an_engine_and_its_fork_server(tmp_path: Path) -> None:
    def settings(approval: str = "control_writes", timeout: float = 60.0, generator: str = "mock") -> dict[str, Any]:
        execution = {"code_generator": generator, "timeout": timeout}
        return {"execution": execution, "approval": {"mode": approval}, "control_system": {"type": "mock"}}

    async with AsyncExitStack() as stack:
        pool = EquipmentPool(stack, tmp_path)
        first = await pool.of(config_from(settings()))
        assert await pool.of(config_from(settings())) is first
        for other in (settings(approval="all_code"), settings(generator="basic")):
            equipment = await pool.of(config_from(other))
            assert equipment is not first
            assert equipment.engine is first.engine
            assert equipment.broker is not first.broker
        assert (await pool.of(config_from(settings(timeout=61.0)))).engine is not first.engine
