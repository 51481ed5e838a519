"""Services that write to a real IOC are killed at random moments: what arrived, what is written down, and what is told.

`KILLS=200 .venv/bin/pytest tests/pipeline/test_kills.py` takes more of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.models import ApprovalCard, MachineEffects, RunResult, Settled

from .conftest import own
from .machine import machine_with

KILLS = int(os.environ.get("KILLS", "10"))
SEED = int(os.environ.get("SEED", "1"))
STEPS = 60
HERE = Path(__file__).parent
PROGRAM = """
from osprey_executor.runtime import write_channel
print("begun", flush=True)
for step in range({steps}):
    write_channel("K:{number}", {first} + step)
"""
BY_CHANNEL_ACCESS = """
import epics
channel = epics.PV("K:{number}")
assert channel.wait_for_connection(30)
print("begun", flush=True)
for step in range({steps}):
    if not channel.connected:
        break
    channel.put({first} + step, wait=True, timeout=10)
"""


@contextmanager
def nursery() -> Iterator[Popen[str]]:
    """Run the process that forks services."""
    with Popen([sys.executable, str(HERE / "nursery.py")], stdin=PIPE, stdout=PIPE, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def program(number: int, source: str = PROGRAM) -> str:
    """Return a program that writes a value of its own to the channel of its own at each step."""
    return source.format(steps=STEPS, number=number, first=1000 * number)


def below(service: int, words: bytes) -> int | None:
    """Return the process that a service has started, itself or by others, with these words in its command."""
    parents: dict[int, int] = {}
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if words in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    for one in reversed(found):  # of a jail the innermost
        above = one
        while above in parents and above != service:
            above = parents[above]
        if above == service:
            return one
    return None


WORDS = {"client": b"_ca_worker", "gateway": b"osprey_executor.control.gateways\0ca"}
VICTIMS = ("gateway", "service", "client", "service", "service", "gateway", "service", "client", "service", "gateway")


def run_and_kill(process: Popen[str], home: Path, config: dict[str, Any], number: int, chance: random.Random) -> str:
    """Let a service run the program of a number, kill it or a process of its own at some moment, and say which."""
    assert process.stdin is not None
    assert process.stdout is not None
    killed = VICTIMS[number % len(VICTIMS)]
    by_gateway = killed == "gateway" or chance.random() < 0.3
    code = program(number, BY_CHANNEL_ACCESS if by_gateway else PROGRAM)
    process.stdin.write(json.dumps([str(home), config, code]) + "\n")
    process.stdin.flush()
    service = int(process.stdout.readline())
    said = ""
    if chance.random() < 0.85:  # in the middle of its writes, mostly
        while (said := process.stdout.readline().strip()) != "begun" and not said.startswith("ended"):
            pass
        time.sleep(chance.uniform(0, 0.35))
    else:
        time.sleep(chance.uniform(0, 1.5))
    victim = below(service, WORDS[killed]) if killed in WORDS else None
    if victim is None:
        killed = "service"
    if not said.startswith("ended"):
        try:
            os.kill(victim or service, signal.SIGKILL)
        except ProcessLookupError:
            killed = "nobody, it was quicker"
        while not process.stdout.readline().startswith("ended"):
            pass
    return killed


def journal_of(result: RunResult) -> list[dict[str, Any]]:
    path = result.folder / "journal.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def left_in(home: Path, table: str) -> int:
    with sqlite3.connect(home / "index.sqlite") as db:
        [(count,)] = db.execute(f"SELECT count(*) FROM {table}")
    db.close()
    return count


@pytest.mark.timeout(120 + 20 * KILLS)  # on a busy machine; else two seconds each
async def test_kills_at_random_moments(home: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with machine_with(KILLS + 1, tmp_path) as machine:
        config = machine.config()
        killed: Counter[str] = Counter()
        with nursery() as process:
            for number in range(KILLS):
                killed[await asyncio.to_thread(run_and_kill, process, home, config, number, chance)] += 1
        async with PythonExecutorService.from_config(config, home=home) as service:
            ended = {row.run_id: row for row in await service.runs(10 * KILLS)}
            arrived = machine.arrived()
            told = Told()
            for run_id, row in ended.items():
                if row.state != RunStatus.AWAITING_APPROVAL:
                    await one_run(service, await service.result(run_id), arrived, told)
            assert left_in(home, "leases") == 0
            assert all(len(set(values)) == len(values) for values in arrived.values()), "a value arrived twice"
            assert told.channels >= set(arrived), "a channel was written, and no run tells of it"
            after = await service.run(own(program(KILLS)), decide=approve)
        assert after.status is RunStatus.SUCCEEDED, after.error
        assert len(machine.arrived()[f"K:{KILLS}"]) == STEPS
    print(f"{KILLS} kills ({dict(killed)}): {told}")


@dataclass
class Told:
    """What the runs tell of themselves, counted."""

    channels: set[str] | frozenset[str] = frozenset()
    none: int = 0
    written: int = 0
    unknown_landed: int = 0
    unknown_lost: int = 0

    def __str__(self) -> str:
        return (
            f"{self.none} runs wrote nothing, {self.written} ended between writes, "
            f"{self.unknown_landed} in a write that arrived, {self.unknown_lost} in one that did not"
        )


async def one_run(
    service: PythonExecutorService, result: RunResult, arrived: dict[str, list[float]], told: Told
) -> None:
    """Compare what a run tells with what the IOC saw, then settle it."""
    journal = journal_of(result)
    intended = [float(entry["value"]) for entry in journal if entry["event"] == "intended"]
    confirmed = [float(entry["value"]) for entry in journal if entry["event"] == "confirmed"]
    channels = {entry["channel"] for entry in journal}
    assert len(channels) <= 1
    channel = next(iter(channels), "")
    came = arrived.get(channel, [])
    told.channels = told.channels | channels
    assert set(came) <= set(intended), "a write arrived that the journal does not know"
    assert came == intended[: len(came)], "in another order"
    assert came[: len(confirmed)] == confirmed, "a confirmed write did not arrive"
    left = await service.unsettled(result.run_id)
    match result.effects:
        case MachineEffects.NONE:
            assert (came, left.writes) == ([], ())
            told.none += 1
        case MachineEffects.WRITTEN:
            assert came == confirmed
            assert left.writes == ()
            told.written += 1
        case MachineEffects.UNKNOWN:
            assert result.status is RunStatus.OUTCOME_UNKNOWN
            [write] = left.writes
            assert (write.channel, float(write.value or "nan")) == (channel, intended[-1])
            refused = await service.run(
                own(f"{PROGRAM.splitlines()[1]}\nwrite_channel({channel!r}, 5)"), decide=approve
            )
            assert refused.status is RunStatus.REFUSED
            assert f"osprey-executor settle {result.run_id}" in str(refused.error)
            landed = len(came) > len(confirmed)
            assert write.outcome is (Settled.WRITTEN if landed else Settled.NOT_WRITTEN)
            settled = await service.settle(left, by="ada")
            again = await service.result(result.run_id)
            assert settled.effects is again.effects
            assert (again.effects is MachineEffects.WRITTEN) == bool(came)
            told.unknown_landed += landed
            told.unknown_lost += not landed


def approve(card: ApprovalCard) -> Approve:
    return Approve(card.digest)
