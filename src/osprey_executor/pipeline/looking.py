"""What people look at besides a run: the machine as it is while they read a card, and who writes to it now."""

from __future__ import annotations

import asyncio

from osprey_executor.config import Config
from osprey_executor.control import present_of, writes_of
from osprey_executor.models import ApprovalCard, ChannelNow, Writing
from osprey_executor.pipeline.equipment import EquipmentPool
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunStore

_MOST_WRITES = 8


async def present(card: ApprovalCard, store: RunStore, pool: EquipmentPool) -> tuple[ChannelNow, ...]:
    """Return the channels of a card's plan as they are now; none where nothing was rehearsed.

    Raises:
        PythonExecutorException: the control system of its run cannot be had.
    """
    if card.plan is None:
        return ()
    config = Config.from_record(await store.config(card.run_id))
    return await present_of(card.plan, (pool.opened_broker(config) or await pool.broker(config)).connector)


async def writing(store: RunStore) -> list[Writing]:
    """Return the runs that hold something for writing, the oldest first, with the last of their writes."""
    found: list[Writing] = []
    for run_id, lease, since in await store.leases():
        decided = await store.decided(run_id)
        writes = await asyncio.to_thread(writes_of, RunFolder(store.home, run_id).journal)
        found.append(
            Writing(
                run=await store.summary(run_id),
                machine=lease.machine,
                channels=lease.channels,
                since=since,
                approver=decided.by if decided else "",
                writes=writes[-_MOST_WRITES:],
                count=len(writes),
            )
        )
    return found
