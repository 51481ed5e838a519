"""The machine over the API: writes stopped and allowed, channels brought back, open ends settled; and how it all is."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

from osprey_executor.desk import Desk
from osprey_executor.interfaces.web.identify import AtDesk
from osprey_executor.interfaces.web.rest.shapes import Key, Reason, RunId
from osprey_executor.models import Health, Restoring, RunSummary, Settlement, WriteSwitch

router = APIRouter(tags=["machine"])


@router.get("/health", operation_id="health")
async def health(desk: AtDesk) -> Health:
    """Tell who you are to the service, and how it is."""
    waiting = await desk.pending(limit=1)
    return Health(
        version=version("osprey-executor"),
        you=desk.person,
        pending=waiting.total,
        running=await desk.service.going_on(),
        writes=await _switch(desk),
    )


@router.get("/writes", operation_id="writes")
async def writes(desk: AtDesk) -> WriteSwitch:
    """Tell whether all writes are stopped by a switch."""
    return await _switch(desk)


@router.post("/writes/stop", operation_id="stop_writes")
async def stop_writes(desk: AtDesk, body: Reason) -> WriteSwitch:
    """Stop every write of every process that uses the state folder, at once."""
    await desk.stop_writes(body.reason)
    return await _switch(desk)


@router.post("/writes/allow", operation_id="allow_writes")
async def allow_writes(desk: AtDesk) -> WriteSwitch:
    """Allow writes again. Every write still needs its approval."""
    await desk.allow_writes()
    return await _switch(desk)


@router.get("/runs/{run_id}/restore", operation_id="restoring")
async def restoring(desk: AtDesk, run_id: RunId) -> Restoring:
    """Look at what a restore of a run would bring back now."""
    return await desk.restoring(run_id)


@router.post("/runs/{run_id}/restore", status_code=201, operation_id="restore")
async def restore(desk: AtDesk, run_id: RunId, body: Restoring, key: Key = None) -> RunSummary:
    """Begin a run that brings back what you have seen. It asks like any other run that writes."""
    return await desk.restore(body.model_copy(update={"run_id": run_id}), key=key)


@router.get("/runs/{run_id}/settlement", operation_id="unsettled")
async def unsettled(desk: AtDesk, run_id: RunId) -> Settlement:
    """Look at the channels that a run left without anyone knowing what became of its write."""
    return await desk.unsettled(run_id)


@router.post("/runs/{run_id}/settlement", operation_id="settle")
async def settle(desk: AtDesk, run_id: RunId, body: Settlement) -> Settlement:
    """Let these channels be written again: you have looked at the machine, and answer for it."""
    return await desk.settle(body.model_copy(update={"run_id": run_id}))


async def _switch(desk: Desk) -> WriteSwitch:
    reason = await desk.stopped()
    return WriteSwitch(stopped=reason is not None, reason=reason)
