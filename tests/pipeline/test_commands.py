"""Commands of channels by the runtime and by p4p: asked about word by word, and run as they were approved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.control.conftest import run_pva

from osprey_executor import PythonExecutorService, RunStatus
from osprey_executor.control import PvaConnector
from osprey_executor.models import MachineEffects

from .conftest import own, settings
from .test_rehearsal import Asked

PROGRAM = """
from p4p.client.thread import Context
from p4p.nt import NTURI
from osprey_executor.runtime import call_channel

first = call_channel("P:SERVICE", {"number": 4.0})
with Context("pva") as context:
    asked = NTURI([("number", "d")]).wrap("P:SERVICE", kws={"number": 5.0})
    second = context.rpc("P:SERVICE", asked, timeout=20)
results = {"first": first, "second": None if first is None else float(second)}
"""
OTHERWISE = """
from osprey_executor.runtime import call_channel
answered = call_channel("P:SERVICE", {"number": 4.0})
call_channel("P:SERVICE", {"number": 4.0 if answered is None else answered})
"""


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    (tmp_path / "limits.yml").write_text("allow_unlisted_channels: true\n")
    async with run_pva() as server:
        yield settings(
            control_system__type="pva",
            control_system__pva={"address_list": [f"127.0.0.1:{server.port}"]},
            control_system__limits_database=str(tmp_path / "limits.yml"),
        )


async def runs(config: dict[str, Any]) -> int:
    """Return how often the server has run a command."""
    connector = PvaConnector(config["control_system"]["pva"]["address_list"])
    await connector.connect()
    try:
        return int((await connector.read(["P:RUNS"]))["P:RUNS"].value)
    finally:
        await connector.close()


def journal_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


async def test_a_command_is_asked_about_and_run_as_it_was_approved(config: dict[str, Any], home: Path) -> None:
    before, asked = await runs(config), Asked()
    async with PythonExecutorService.from_config(config, home=home) as service:
        waiting = await service.run(own(PROGRAM))
        assert waiting.status is RunStatus.AWAITING_APPROVAL, (waiting.error, waiting.stderr)
        assert await runs(config) == before
        result = await service.run(own(PROGRAM), decide=asked)
    [card] = asked.cards
    assert card.plan is not None
    assert card.envelope is None
    assert [(write.channel, write.value, write.command, write.line) for write in card.plan.writes] == [
        ("P:SERVICE", 'call {"number": 4.0}', True, 6),
        ("P:SERVICE", 'call {"number": 5.0}', True, None),
    ]
    assert any("cannot be rehearsed" in told for told in card.unknowns)
    assert (result.status, result.effects) == (RunStatus.SUCCEEDED, MachineEffects.WRITTEN), result.error
    assert result.results == {"first": 8.0, "second": 10.0}
    assert [entry["event"] for entry in journal_of(result.folder)] == ["attempt", "intended", "sent", "confirmed"] * 2
    assert await runs(config) == before + 2


async def test_a_command_with_other_arguments_than_approved_is_refused(config: dict[str, Any], home: Path) -> None:
    """The canary is above: what is as it was approved is run."""
    before = await runs(config)
    async with PythonExecutorService.from_config(config, home=home) as service:
        result = await service.run(own(OTHERWISE), decide=Asked())
    assert (result.status, result.effects) == (RunStatus.REFUSED, MachineEffects.WRITTEN)
    assert 'call {"number": 4.0}, not as call {"number": 8.0}' in str(result.error)
    assert await runs(config) == before + 1
