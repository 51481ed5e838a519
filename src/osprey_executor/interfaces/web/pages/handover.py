"""The hand-over of a shift: what is open on the machine, and what was written to it of late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import SignedIn
from osprey_executor.models import MachineEffects, RunFilter, RunStatus, RunSummary

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_MOST = 200
_SPANS = (8, 12, 24, 72)


@router.get("/handover")
async def show(request: Request, visitor: SignedIn, hours: int = 12) -> Response:
    """Show what the next shift must know."""
    hours = hours if hours in _SPANS else 12
    since = datetime.now(UTC) - timedelta(hours=hours)
    desk = visitor.desk
    unknown = await desk.runs(RunFilter(effects=MachineEffects.UNKNOWN, since=since), limit=_MOST)
    written = await desk.runs(RunFilter(effects=MachineEffects.WRITTEN, since=since), limit=_MOST)
    restores = await desk.runs(RunFilter(text="Restore run ", since=since), limit=_MOST)
    wrote = [*unknown.runs, *written.runs]
    return await page(
        request,
        visitor,
        "handover.html",
        hours=hours,
        spans=_SPANS,
        open_ends=await desk.open_ends(),
        failed=[run for run in wrote if run.state != RunStatus.SUCCEEDED],
        succeeded=[run for run in wrote if run.state == RunStatus.SUCCEEDED],
        back={run.run_id: _brought_back(run, restores.runs) for run in wrote},
        writing=await desk.writing(),
        more=bool(unknown.next or written.next),
    )


def _brought_back(run: RunSummary, runs: Sequence[RunSummary]) -> RunSummary | None:
    """Return the run that was to bring this one back, the newest one; its task says so, and is a claim like any."""
    return next((one for one in runs if one.task.startswith(f"Restore run {run.run_id}:")), None)
