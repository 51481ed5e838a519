"""What goes and what stays when runs are pruned, and a copy of a state folder in use that is a state folder itself."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osprey_executor import Approve, PythonExecutorService, RunStatus
from osprey_executor.errors import InvalidRequestError, RunNotFoundError
from osprey_executor.storage import RunLock

from .conftest import WRITE, OpenService, own, settings


async def runs_of(service: PythonExecutorService) -> set[str]:
    return {run.run_id for run in await service.runs()}


async def test_the_past_goes_and_what_still_matters_stays(service: PythonExecutorService, home: Path) -> None:
    read = await service.run(own("open('left', 'w').write('x' * 5000); results = {}"))
    wrote = await service.run(own(WRITE), decide=lambda card: Approve(card.digest))
    waits = await service.run(own(WRITE))
    now = datetime.now(UTC)
    assert (await service.prunable(now - timedelta(days=1))).run_ids == ()
    seen = await service.prunable(now)
    assert seen.run_ids == (read.run_id,)
    assert seen.bytes > 5000
    assert await runs_of(service) == {read.run_id, wrote.run_id, waits.run_id}

    assert (await service.prune(seen)).run_ids == seen.run_ids
    assert await runs_of(service) == {wrote.run_id, waits.run_id}
    assert not read.folder.exists()
    with pytest.raises(RunNotFoundError):
        await service.result(read.run_id)
    assert (await service.prune(seen)).run_ids == ()

    everything = await service.prunable(now, written=True)
    assert everything.run_ids == (wrote.run_id,)
    await service.prune(everything)
    assert await runs_of(service) == {waits.run_id}
    card = await service.card(waits.run_id)
    assert (await service.decide(waits.run_id, Approve(card.digest))).status is RunStatus.SUCCEEDED
    kept = (home / "checkpoints.sqlite").read_bytes() + (home / "checkpoints.sqlite-wal").read_bytes()
    assert waits.run_id.encode() in kept


async def test_a_run_that_somebody_drives_and_one_in_quarantine_stay(
    service: PythonExecutorService, home: Path
) -> None:
    one = await service.run(own("results = {}"))
    other = await service.run(own("results = {}"))
    later = datetime.now(UTC) + timedelta(days=1)
    seen = await service.prunable(later)
    with RunLock(one.folder) as lock:
        assert lock.acquire()
        assert (await service.prune(seen.model_copy(update={"run_ids": (one.run_id,)}))).run_ids == ()
        assert one.folder.exists()
    store = service._executor.store  # pyright: ignore[reportPrivateUsage]
    await store._execute(  # pyright: ignore[reportPrivateUsage]
        "INSERT INTO quarantine (run_id, machine, channel, since) VALUES (?, 'm', 'c', '2026')", (other.run_id,)
    )
    assert (await service.prunable(later, written=True)).run_ids == (one.run_id,)


async def test_what_a_crash_of_prune_left_goes_with_the_next(service: PythonExecutorService, home: Path) -> None:
    kept = await service.run(own("results = {}"))
    (outside := home / "outside").mkdir()
    (stray := home / "runs" / "20200101-000000-dead").mkdir()
    (stray / "link").symlink_to(outside)
    os.utime(stray, (0, 0))
    await service.prune(await service.prunable(datetime(2021, 1, 1, tzinfo=UTC)))
    assert not stray.exists()
    assert outside.exists()
    assert kept.folder.exists()


async def test_a_copy_of_a_folder_in_use_is_a_state_folder(
    open_service: OpenService, home: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    async with open_service() as service:
        waits = await service.run(own(WRITE))
        going = asyncio.create_task(service.run(own("import time; time.sleep(3); results = {}")))
        while len(await service.runs()) < 2:
            await asyncio.sleep(0.05)
        made = await service.backup(copy)
        assert made.runs == 2
        await going
        for wrong in (copy, home / "inner", home):
            with pytest.raises(InvalidRequestError):
                await service.backup(wrong)
    assert (copy / "approval.key").stat().st_mode & 0o777 == 0o600
    assert copy.stat().st_mode & 0o777 == 0o700
    async with PythonExecutorService.from_config(settings(), home=copy) as again:
        card = await again.card(waits.run_id)
        result = await again.decide(waits.run_id, Approve(card.digest))
        assert result.status is RunStatus.SUCCEEDED
        assert result.folder.is_relative_to(copy)
        states = {run.run_id: run.state for run in await again.runs()}
        assert states.pop(waits.run_id) == "succeeded"
        assert set(states.values()) <= {"failed", "succeeded"}
