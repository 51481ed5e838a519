"""Cards over the API: what waits, what it would do, and the decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from osprey_executor.interfaces.web.identify import AtDesk
from osprey_executor.interfaces.web.rest.shapes import Cursor, DecisionBody, Key, Limit, RunId
from osprey_executor.models import CardNow, RunSummary, WaitingPage

router = APIRouter(tags=["approvals"])


@router.get("/approvals", operation_id="approvals")
async def approvals(desk: AtDesk, limit: Limit = 50, after: Cursor = "") -> WaitingPage:
    """List the cards that wait and that you may see, the oldest runs first."""
    return await desk.pending(limit=limit, after=after)


@router.get("/approvals/{run_id}", operation_id="approval")
async def approval(desk: AtDesk, run_id: RunId) -> CardNow:
    """Show the card that a run waits with. 409 where it does not wait."""
    card = await desk.card(run_id)
    return CardNow(**dict(card), in_the_way=await desk.in_the_way(card))


@router.post("/approvals/{run_id}/decision", operation_id="decide")
async def decide(desk: AtDesk, run_id: RunId, body: Annotated[DecisionBody, Body()], key: Key = None) -> RunSummary:
    """Decide about a run that waits: approve what you have seen, by its digest; reject it; or edit its code."""
    return await desk.decide(run_id, body.parsed(), key=key)
