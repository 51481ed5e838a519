"""Writes without a known end are settled: somebody looks at the channel as it is now, and answers for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from osprey_executor.config import Config
from osprey_executor.control import (
    Broker,
    control_report,
    effects_of,
    journal_settlement,
    looked_at,
    open_control,
)
from osprey_executor.errors import ControlSystemError, InvalidDecision, PythonExecutorException, RunGoesOnError
from osprey_executor.models import RUNNING, Person, RunResult, Settlement, Unsettled, Write
from osprey_executor.pipeline.equipment import EquipmentPool
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunLock, RunStore
from osprey_executor.text import one_line


async def look(store: RunStore, equipment: EquipmentPool, run_id: str) -> Settlement:
    """Return the writes of a run that are to be settled, with their channels as they are now.

    Raises:
        RunGoesOnError: the run is going on.
    """
    summary = await store.summary(run_id)
    if summary.state == RUNNING:
        raise RunGoesOnError(f"run {run_id} is going on; `osprey-executor watch {run_id}` shows it")
    writes = await store.quarantine(run_id=run_id)
    if not writes:
        return Settlement(run_id=run_id, effects=summary.effects)
    try:
        async with _broker(store, equipment, writes[0]) as broker:
            seen = [await _seen(broker, store, write) for write in writes]
    except PythonExecutorException as error:
        seen = [looked_at(write, None, str(error)) for write in writes]
    return Settlement(run_id=run_id, writes=tuple(seen), effects=summary.effects)


async def lift(store: RunStore, seen: Settlement, person: Person) -> Settlement:
    """Record who has looked and what they saw, then let the channels be written again.

    The journal comes first and the quarantine last: whatever ends this in between leaves the channels closed.

    Raises:
        InvalidDecision: somebody settles, or has settled, the same run.
        StorageError: it cannot be recorded.
    """
    summary = await store.summary(seen.run_id)
    lock = RunLock(summary.folder)
    if summary.folder.exists() and not lock.acquire():
        raise InvalidDecision(f"run {seen.run_id} is going on, or is being settled by somebody else")
    with lock:
        still = {write.number for write in await store.quarantine(run_id=seen.run_id)}
        if not seen.writes or still != {write.number for write in seen.writes}:
            raise InvalidDecision(f"run {seen.run_id} was settled meanwhile; look again")
        settlement = seen.model_copy(update={"by": person.name, "at": datetime.now(UTC)})
        if summary.folder.exists():
            settlement = await asyncio.to_thread(_record, RunFolder(store.home, seen.run_id), settlement)
        await store.settle(settlement)
        return settlement


def _record(folder: RunFolder, settlement: Settlement) -> Settlement:
    journal_settlement(folder.journal, settlement)
    settlement = settlement.model_copy(update={"effects": effects_of(folder.journal)})
    try:
        result = folder.load_result()
    except PythonExecutorException:  # its record was damaged before: journal and index tell it
        return settlement
    told = _told(result, settlement)
    folder.amend(result.model_copy(update=told))
    return settlement


def _told(result: RunResult, settlement: Settlement) -> dict[str, Any]:
    outcomes = {write.channel: write.outcome for write in settlement.writes}
    writes = [_settled(write, outcomes) for write in result.writes]
    notes = [_note(write, settlement) for write in settlement.writes]
    return {"effects": settlement.effects, "writes": tuple(writes), "notes": (*result.notes, *notes)}


def _settled(write: Write, outcomes: dict[str, Any]) -> Write:
    open_still = not write.confirmed and write.channel in outcomes
    return write.model_copy(update={"settled": outcomes[write.channel]}) if open_still else write


def _note(write: Unsettled, settlement: Settlement) -> str:
    outcome = write.outcome.replace("_", " ")
    saw = f"it was {write.present}" if write.present is not None else f"not seen ({one_line(write.unreadable)})"
    at = f"{settlement.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{one_line(write.channel)}: {outcome}, settled by {one_line(settlement.by or '')} at {at}: {saw}"


async def _seen(broker: Broker, store: RunStore, write: Unsettled) -> Unsettled:
    if write.channel == "*":
        return looked_at(write, None, "neither its journal nor its card tells which channels it may have written")
    session = broker.session(
        run_id=write.run_id, permit=None, journal=RunFolder(store.home, write.run_id).journal, limits=None
    )
    try:
        reading = (await session.read([write.channel]))[write.channel]
    except PythonExecutorException as error:
        return looked_at(write, None, str(error))
    return looked_at(write, reading)


@asynccontextmanager
async def _broker(store: RunStore, equipment: EquipmentPool, write: Unsettled) -> AsyncGenerator[Broker]:
    """Yield a broker of the machine that a run wrote to.

    For a real one it is a new one: it needs no engine, and none of what may have broken meanwhile. A simulated one can
    only be looked at through the connection that it lives in.
    """
    config = Config.from_record(await store.config(write.run_id))
    if control_report(config).real:
        async with open_control(config, home=store.home) as broker:
            yield broker
    elif (live := equipment.broker_of(write.machine)) is not None:
        yield live
    else:
        raise ControlSystemError(
            "it was a simulated machine, which has ended with its service: there is none to look at"
        )
