"""The way back: what a restore of a run would bring back now, and the run that does it, asked about in its turn."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.errors import InvalidDecision
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn, field
from osprey_executor.models import Restoring

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/runs/{run_id}/restore")


@router.get("")
async def show(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Show what would be brought back."""
    seen = await visitor.desk.restoring(run_id)
    return await page(request, visitor, "restore.html", seen=seen, mark=_mark(seen))


@router.post("")
async def begin(visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """Begin the run that brings back what the visitor has seen, where the machine is still as they saw it."""
    seen = await visitor.desk.restoring(run_id)
    if field(form, "mark") != _mark(seen):
        raise InvalidDecision("the machine is not any more as you saw it: nothing was begun; look again")
    run = await visitor.desk.restore(seen)
    return RedirectResponse(f"/runs/{run.run_id}", 303)


def _mark(seen: Restoring) -> str:
    return hashlib.sha256(seen.model_dump_json().encode()).hexdigest()
