"""What stands in the way of writing at this moment, so that nobody approves a card and wonders why nothing moved."""

from __future__ import annotations

import asyncio

from osprey_executor.config import Config
from osprey_executor.control import StopSwitch, with_stop_channels
from osprey_executor.errors import PythonExecutorException
from osprey_executor.models import WHOLE_MACHINE, ApprovalCard, machine_of
from osprey_executor.pipeline.equipment import EquipmentPool
from osprey_executor.pipeline.holding import channels_of
from osprey_executor.storage import Lease, RunStore
from osprey_executor.text import one_line

_MOST_CLOSED = 3


async def in_the_way(card: ApprovalCard, config: Config, store: RunStore, pool: EquipmentPool) -> tuple[str, ...]:
    """Return why a run that is approved now would not write: stopped, held by another run, in quarantine; else nothing.

    Args:
        card: that waits; one without a plan grants no write, so nothing is in its way.
        config: of its run.
        store: with the leases and the quarantine.
        pool: whose connection to the machine is used, and opened where only a channel of it can tell.
    """
    if card.plan is None:
        return ()
    control = config.control_system
    told: list[str] = []
    broker = None
    try:
        broker = pool.opened_broker(config) or (await pool.broker(config) if control.stop_channel else None)
        stopped = await broker.stopped() if broker else StopSwitch(store.home, control.stop_file).on()
    except PythonExecutorException as error:
        stopped = f"the stop channel {one_line(str(control.stop_channel), 100)} cannot be looked at: {error}"
    if stopped:
        told.append(stopped)
    machine = broker.machine if broker else machine_of(card.control_system, "")
    channels = channels_of(card)
    limits = await asyncio.to_thread(broker.limits) if broker else None
    lease = Lease(machine, with_stop_channels(limits, channels) if control.concurrent_writers else WHOLE_MACHINE)
    if busy := await store.busy(card.run_id, lease):
        told.append(busy)
    closed = await store.quarantine(machine=machine)
    reasons = dict.fromkeys(one.reason for one in closed if any(one.covers(channel) for channel in channels))
    return (*told, *list(reasons)[:_MOST_CLOSED])
