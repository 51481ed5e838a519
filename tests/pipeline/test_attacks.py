"""Nothing reaches a real IOC that nobody has approved, however a program tries; what reaches the broker is on record.

Each attack has a channel of its own, so the IOC's file of puts, its values and the journal say which attack got where.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from osprey_executor import Approve, PythonExecutorService
from osprey_executor.control.broker._session import Session
from osprey_executor.models import MachineEffects, Refusal, RunResult

from .attacks import COMMANDS, ELSEWHERE, GROUPS, NAMES, NO_VALUE, NOWHERE, channel_of, program
from .conftest import own
from .machine import Machine, machine_with

pytestmark = pytest.mark.asyncio(loop_scope="module")

READ_ONLY = {"control_system__writes_enabled": False}
FIELDS = ("", ".DRVH", ".DESC")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Machine]:
    async with machine_with(len(NAMES), tmp_path_factory.mktemp("machine")) as started:
        yield started


def addresses_of_this_host() -> list[str]:
    found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM)
    return sorted({str(address[4][0]) for address in found})


async def tried(service: PythonExecutorService, machine: Machine, group: str) -> RunResult:
    return await service.run(own(program(group, machine.port, addresses_of_this_host())))


async def held(service: PythonExecutorService) -> Mapping[str, Any]:
    broker = (await service._executor.equipment.of(service.config)).broker
    names = [channel_of(name) + field for name in NAMES for field in FIELDS]
    return {name: sample.value for name, sample in (await broker.connector.read(names)).items()}


def journalled(folder: Path) -> set[str]:
    """Return the attacks of which the journals tell an attempt."""
    files = [*folder.glob("journal.jsonl"), *folder.glob("rehearsal-*.jsonl")]
    entries = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    numbers = [re.findall(r"K:(\d+)", entry["channel"]) for entry in entries if entry["event"] == "attempt"]
    return {NAMES[int(number)] for found in numbers for number in found}


async def test_there_are_enough_attacks() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 40
    assert {*NAMES} >= NOWHERE | COMMANDS | NO_VALUE


@pytest.mark.parametrize("changes", [READ_ONLY, {}], ids=["read only", "without a decision"])
async def test_no_attack_changes_the_machine_and_each_that_is_heard_is_journalled(
    changes: dict[str, Any], machine: Machine, tmp_path: Path
) -> None:
    seen: set[str] = set()
    told: list[str] = []
    ended: set[str] = set()
    async with PythonExecutorService.from_config(machine.config(**changes), home=tmp_path / "home") as service:
        before, puts = await held(service), machine.arrived()
        for group in GROUPS:
            result = await tried(service, machine, group)
            assert result.isolation.proven
            assert result.effects is MachineEffects.NONE
            assert not result.writes
            told.append(f"{group}: {result.status} {result.error}\n{result.stdout}{result.stderr[-1000:]}")
            seen |= journalled(result.folder)
            if result.error and result.error.type == "ProtocolViolation":
                ended.add(group)
        assert await held(service) == before
    assert machine.arrived() == puts
    assert seen == {*NAMES} - NOWHERE, "\n".join(told)
    assert ended == {"frames that are none", "frames of a gateway"}  # what is no message ends its run, and is its error


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Return the attacks whose channel is another one now."""
    return {
        name
        for name in NAMES
        for field in FIELDS
        if before[channel_of(name) + field] != after[channel_of(name) + field]
    }


async def test_canary_with_the_broker_off_each_attack_that_is_heard_writes(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def through(self: Session, values: Mapping[str, Any], line: int | None = None) -> Sequence[Refusal]:
        for channel, value in values.items():
            await self._connector.write(channel, value)
        return ()

    monkeypatch.setattr(Session, "write", through)
    async with PythonExecutorService.from_config(machine.config(**READ_ONLY), home=tmp_path / "home") as service:
        before = await held(service)
        told = [(await tried(service, machine, group)).stdout for group in GROUPS if group not in ELSEWHERE]
        after = await held(service)
    processed = {NAMES[int(channel.removeprefix("K:"))] for channel in machine.arrived()}
    written = changed(before, after) | processed
    assert written - NO_VALUE == {*NAMES} - NOWHERE - COMMANDS - NO_VALUE, "\n".join(told)


async def test_canary_without_isolation_the_machine_itself_is_found(machine: Machine, tmp_path: Path) -> None:
    config = machine.config(**READ_ONLY, execution__isolation="none")
    async with PythonExecutorService.from_config(config, home=tmp_path / "home") as service:
        before = await held(service)
        code = program("elsewhere", machine.port, addresses_of_this_host())
        result = await service.run(own(code), decide=lambda card: Approve(card.digest))
        after = await held(service)
    listens_on_loopback_only = {"the IOC's port by every address of the host"}
    assert changed(before, after) | listens_on_loopback_only == {*ELSEWHERE["elsewhere"]}, result
