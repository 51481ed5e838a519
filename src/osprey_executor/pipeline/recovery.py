"""What a crash left: runs that nobody drives any more get a truthful end. Nothing is executed again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from osprey_executor.control import effects_of, unsettled_of, writes_of
from osprey_executor.errors import ErrorCategory, StorageError
from osprey_executor.models import RUNNING, ErrorReport, MachineEffects, RunStatus, Stage
from osprey_executor.pipeline.audited import tell_lost
from osprey_executor.pipeline.holding import any_write
from osprey_executor.pipeline.interrupted import keep_interrupted
from osprey_executor.pipeline.judge import unmet_results
from osprey_executor.pipeline.record import record_end
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunLock, RunStore, UnfinishedExecution

if TYPE_CHECKING:
    from osprey_executor.pipeline.driver import Driver

_DIED = {
    MachineEffects.NONE: "the process that executed it died; the journal shows no write that was begun",
    MachineEffects.WRITTEN: "the process that executed it died; the writes in its journal were confirmed",
    MachineEffects.UNKNOWN: "the process that executed it died in a write; look at the machine before anything else",
}
_LOST = "the process that drove it died; it wrote nothing to the machine and can be run again"


DriverOf = Callable[[], Awaitable["Driver"]]
"""Opens the driver at its first use: a state folder that is in order needs none."""


async def recover(store: RunStore, driver: DriverOf) -> None:
    """Set right the runs whose driver died; those that are driven are left alone.

    One that could have written is an unknown outcome. One whose execution had ended is recorded as it ended.
    """
    for summary in await store.summaries(limit=1000, state=RUNNING):
        lock = RunLock(summary.folder)
        try:
            # It may have ended between the look at the index and the lock.
            free = not summary.folder.exists() or lock.acquire()
            if free and (await store.summary(summary.run_id)).state == RUNNING:
                await _settle_or_mark(store, driver, summary.run_id)
        except StorageError:
            continue  # one damaged run, or a full disk, keeps neither the others nor the service from going on
        finally:
            lock.release()


async def _settle_or_mark(store: RunStore, driver: DriverOf, run_id: str) -> None:
    folder = RunFolder(store.home, run_id)
    if folder.path.exists():
        try:
            return await settle(store, driver, run_id)
        except Exception:  # noqa: S110 - whatever is damaged there, the index can still tell the worst that may be
            pass
    left = await store.unfinished_execution(run_id)
    await _give_back(store, folder, left)
    may_have = left is not None and left.may_write
    if folder.path.exists():
        effects = effects_of(folder.journal)
    else:
        effects = MachineEffects.UNKNOWN if may_have else MachineEffects.NONE
    unknown = may_have or effects is not MachineEffects.NONE
    await store.set_state(run_id, RunStatus.OUTCOME_UNKNOWN if unknown else RunStatus.FAILED, effects)


async def end_undriven(
    store: RunStore,
    driver: DriverOf,
    run_id: str,
    status: RunStatus,
    effects: MachineEffects,
    *,
    error: ErrorReport | None,
) -> None:
    """Write the record of a run that nobody drives; the caller holds its lock."""
    try:
        values = await (await driver()).state(run_id)
        told = error.model_copy(update={"code": values.get("code")}) if error else None
        await record_end(store, RunFolder(store.home, run_id), values, status=status, effects=effects, error=told)
    except (StorageError, ValidationError):
        # Its folder was damaged, too: the index tells the end all the same.
        await store.set_state(run_id, status, effects)


async def settle(store: RunStore, driver: DriverOf, run_id: str) -> None:
    """Give a run whose driver died its truthful end; the caller holds its lock."""
    folder = RunFolder(store.home, run_id)
    effects = effects_of(folder.journal)
    left = await store.unfinished_execution(run_id)
    await _give_back(store, folder, left)
    attempt = folder.attempt((await (await driver()).state(run_id)).get("attempt", 1))
    if left is None and attempt.has_outcome:  # it ended, but was not collected
        kept = attempt.record()
        status, error = kept.status, kept.error
        if status is RunStatus.SUCCEEDED and (unmet := unmet_results(folder.load_request(), attempt.outcome())):
            status, error = RunStatus.FAILED, unmet
        await end_undriven(store, driver, run_id, status, kept.effects, error=error)
    elif (left is not None and left.may_write) or effects is not MachineEffects.NONE:
        await _end_killed(store, driver, folder, RunStatus.OUTCOME_UNKNOWN, effects, _died(_DIED[effects]))
    else:
        await _end_killed(store, driver, folder, RunStatus.FAILED, effects, _died(_LOST))


async def _give_back(store: RunStore, folder: RunFolder, left: UnfinishedExecution | None) -> None:
    """Give back the lease of an execution that was killed; what it may have written without a known end is closed."""
    if left is None:
        return
    unsettled = unsettled_of(folder.journal) if folder.path.exists() else None
    if unsettled is None:
        try:
            unsettled = any_write(await store.card(folder.run_id))
        except ValidationError:  # a damaged card allowed nobody knows what
            unsettled = any_write(None)
    await store.release_lease(folder.run_id, unsettled)
    if left.may_write:
        await asyncio.to_thread(tell_lost, store.trail, folder.run_id, effects_of(folder.journal), folder.journal)


async def _end_killed(
    store: RunStore, driver: DriverOf, folder: RunFolder, status: RunStatus, effects: MachineEffects, error: ErrorReport
) -> None:
    writes = writes_of(folder.journal)
    with suppress(StorageError):
        state = await (await driver()).state(folder.run_id)
        await keep_interrupted(store, folder, state, status=status, effects=effects, error=error, writes=writes)
    await end_undriven(store, driver, folder.run_id, status, effects, error=error)


def _died(message: str) -> ErrorReport:
    kind = "EngineError" if message == _LOST else "OutcomeUnknownError"
    return ErrorReport(stage=Stage.EXECUTION, type=kind, message=message, category=ErrorCategory.WORKFLOW)
