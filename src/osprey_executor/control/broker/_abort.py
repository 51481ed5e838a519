"""Watches the machine while a run may write, and takes its right away when a condition of `abort_when` comes true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from osprey_executor.control.broker._conditions import Condition, met
from osprey_executor.control.broker._session import Session
from osprey_executor.control.connectors._protocol import Connector

_EVERY = 0.1
"""Seconds between two looks."""


@asynccontextmanager
async def watched(session: Session, conditions: Sequence[Condition], connector: Connector) -> AsyncGenerator[None]:
    """Watch for as long as the context lasts; once a condition holds, or cannot be looked at, abort the session."""
    if not conditions or not session.may_write:
        yield
        return
    watch = asyncio.create_task(_watch(session, conditions, connector))
    try:
        yield
    finally:
        watch.cancel()
        cancelled = await _ended(watch)
        if not watch.cancelled() and (error := watch.exception()):
            raise error
        if cancelled:
            raise asyncio.CancelledError


async def _watch(session: Session, conditions: Sequence[Condition], connector: Connector) -> None:
    while (reason := await met(conditions, connector)) is None:  # noqa: ASYNC110 - the machine sends no event of ours
        await asyncio.sleep(_EVERY)
    aborting = asyncio.create_task(session.abort(reason))
    await _ended(aborting)
    aborting.result()


async def _ended(task: asyncio.Task[None]) -> bool:
    """Wait for the end of a task, whoever cancels: no run gives back its lease before its stop actions.

    Returns:
        Whether somebody has cancelled meanwhile.
    """
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
