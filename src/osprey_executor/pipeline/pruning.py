"""Removes runs of the past: their rows, their folders, their checkpoints. The audit trail stays whole."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from osprey_executor.errors import StorageError
from osprey_executor.models import Pruning, system_user
from osprey_executor.pipeline.recovery import DriverOf
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunLock, RunStore


async def prunable(store: RunStore, before: datetime, *, written: bool) -> Pruning:
    """Return what `prune` would remove; nothing is removed.

    Runs that are going on or wait for a person, and those with a write whose end nobody knows, never are. Those that
    wrote to the machine are only with `written`: their journal is what a restore goes by.
    """
    run_ids = await store.ended_before(before, written=written)
    size = await asyncio.to_thread(lambda: sum(_size(store.folder(run_id)) for run_id in run_ids))
    return Pruning(before=before, written=written, run_ids=tuple(run_ids), bytes=size)


async def prune(store: RunStore, driver: DriverOf, seen: Pruning) -> Pruning:
    """Remove the runs of `seen` that may still go, and return which went.

    A process that dies in between leaves folders without a run, which the next call removes.

    Raises:
        StorageError: something cannot be removed; what went before is gone.
    """
    gone: list[str] = []
    size = 0
    may_go = set(await store.ended_before(seen.before, written=seen.written))
    for run_id in (run_id for run_id in seen.run_ids if run_id in may_go):
        removed = await _remove(store, driver, run_id)
        if removed is not None:
            size += removed
            gone.append(run_id)
    await _remove_strays(store, seen.before)
    if gone:
        told = partial(store.trail.note, "runs removed", durable=True, by=system_user(), count=len(gone), runs=gone)
        await asyncio.to_thread(told)
    return seen.model_copy(update={"run_ids": tuple(gone), "bytes": size})


async def _remove(store: RunStore, driver: DriverOf, run_id: str) -> int | None:
    """Remove one run and return the bytes of its folder; None: somebody has it in hand, and it stays."""
    folder = store.folder(run_id)
    lock = RunLock(folder)
    try:
        if folder.exists() and not lock.acquire():
            return None
        size = await asyncio.to_thread(_size, folder)
        await store.remove(run_id)
        await (await driver()).forget(run_id)
        await asyncio.to_thread(RunFolder(store.home, run_id).remove)
        return size
    finally:
        lock.release()


async def _remove_strays(store: RunStore, before: datetime) -> None:
    """Remove folders of which the index knows nothing, and that nobody has touched since."""
    for folder in await asyncio.to_thread(_folders, store.home):
        try:
            old = datetime.fromtimestamp(folder.lstat().st_mtime, UTC) < before
        except OSError:
            continue
        if old and not await store.has(folder.name) and (lock := RunLock(folder)).acquire():
            try:
                await asyncio.to_thread(RunFolder(store.home, folder.name).remove)
            finally:
                lock.release()


def _folders(home: Path) -> list[Path]:
    try:
        return [path for path in (home / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"the runs in {home} cannot be listed: {error}") from error


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder; links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - quicker for many
            except OSError:
                continue
    return total
