"""What is left of an execution that did not come to its own end: its output so far, and its writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from osprey_executor.models import (
    ErrorReport,
    IsolationReport,
    MachineEffects,
    Outcome,
    Reading,
    Refusal,
    RunStatus,
    Usage,
    Write,
)
from osprey_executor.pipeline.holding import unsettled_writes
from osprey_executor.pipeline.state import State
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunStore, last_output

_MOST_BYTES = 32 * 2**20
"""Of the events that are read for the output."""


async def keep_interrupted(
    store: RunStore,
    folder: RunFolder,
    state: State,
    *,
    status: RunStatus,
    effects: MachineEffects,
    error: ErrorReport,
    reads: Sequence[Reading] = (),
    writes: Sequence[Write] = (),
    refusals: Sequence[Refusal] = (),
) -> None:
    """Keep what is known of the execution that was begun and not ended; without effect if there is none.

    Raises:
        StorageError: it cannot be written.
    """
    left = await store.unfinished_execution(folder.run_id)
    if left is None:
        return
    stdout, stderr = await asyncio.to_thread(last_output, folder.path, _MOST_BYTES)
    told = state.get("isolation")
    outcome = Outcome(
        status=status,
        stdout=stdout,
        stderr=stderr,
        figures=tuple(await asyncio.to_thread(folder.shown_figures)),
        error=error,
        notes=("the run was interrupted: results, figures and files that it had not handed over are lost",),
        partial=True,
        usage=Usage(wall_seconds=(datetime.now(UTC) - left.started_at).total_seconds()),
        isolation=IsolationReport.model_validate_json(told) if told else IsolationReport(),
    )
    attempt = folder.attempt(state.get("attempt", 1))
    await asyncio.to_thread(
        attempt.save_outcome, outcome, reads=reads, writes=writes, refusals=refusals, effects=effects
    )
    unsettled = unsettled_writes(effects, writes, await store.card(folder.run_id))
    await store.end_execution(folder.run_id, left.number, effects, unsettled)
