"""Writes that nobody knows the end of: a person looks at the machine, and answers for it."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.errors import InvalidDecision, InvalidRequestError
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn, field
from osprey_executor.models import Settlement

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/runs/{run_id}/settle")


@router.get("")
async def show(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Show the channels as they are now."""
    seen = await visitor.desk.unsettled(run_id)
    return await page(request, visitor, "settle.html", seen=seen, mark=_mark(seen))


@router.post("")
async def settle(visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """Let the channels be written again, where they say what they said when the visitor looked."""
    if field(form, "sure") != "yes":
        raise InvalidRequestError("nothing was settled: tick the box that says that you have looked at the machine")
    seen = await visitor.desk.unsettled(run_id)
    if field(form, "mark") != _mark(seen):
        raise InvalidDecision("the channels do not say any more what you saw: nothing was settled; look again")
    settled = await visitor.desk.settle(seen)
    return RedirectResponse(f"/runs/{settled.run_id}", 303)


def _mark(seen: Settlement) -> str:
    """Return a mark of what was concluded. Values that differ in their noise lead to the same."""
    told = [(write.number, write.channel, write.outcome.value, write.present is None) for write in seen.writes]
    return hashlib.sha256(repr(told).encode()).hexdigest()
