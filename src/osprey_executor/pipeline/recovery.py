"""What a crash left: runs that nobody drives any more get a truthful end. Nothing is executed again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from osprey_executor.control import effects_of, writes_of
from osprey_executor.errors import ErrorCategory, StorageError
from osprey_executor.models import ErrorReport, MachineEffects, RunStatus, Stage
from osprey_executor.pipeline.interrupted import keep_interrupted
from osprey_executor.pipeline.record import record_end
from osprey_executor.results import RunFolder
from osprey_executor.storage import RUNNING, RunLock, RunStore

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
        if not summary.folder.exists():
            await store.set_state(summary.run_id, RunStatus.FAILED, summary.effects)
            continue
        with RunLock(summary.folder) as lock:
            # It may have ended between the look at the index and the lock.
            if lock.acquire() and (await store.summary(summary.run_id)).state == RUNNING:
                await _settle(store, driver, summary.run_id)


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


async def _settle(store: RunStore, driver: DriverOf, run_id: str) -> None:
    folder = RunFolder(store.home, run_id)
    effects = effects_of(folder.journal)
    left = await store.unfinished_execution(run_id)
    attempt = folder.attempt((await (await driver()).state(run_id)).get("attempt", 1))
    if left is None and attempt.has_outcome:  # it ended, but was not collected
        kept = attempt.record()
        await end_undriven(store, driver, run_id, kept.status, kept.effects, error=kept.error)
    elif (left is not None and left.may_write) or effects is not MachineEffects.NONE:
        await _end_killed(store, driver, folder, RunStatus.OUTCOME_UNKNOWN, effects, _died(_DIED[effects]))
    else:
        await _end_killed(store, driver, folder, RunStatus.FAILED, effects, _died(_LOST))


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
