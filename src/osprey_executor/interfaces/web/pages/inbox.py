"""The inbox: what waits for a person, the oldest first."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.interfaces.web.pages.paging import paged
from osprey_executor.interfaces.web.pages.rendering import bare, page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import SignedIn, Visitor

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_SIZE = 20


@router.get("/")
async def begin(visitor: SignedIn) -> Response:
    """Begin where most visitors want to be."""
    return RedirectResponse("/approvals", 303)


@router.get("/approvals")
async def show(request: Request, visitor: SignedIn, number: int = 1) -> Response:
    """Show what waits."""
    return await page(request, visitor, "inbox.html", **await _waiting(visitor, number))


@router.get("/inbox")
async def now(visitor: SignedIn, number: int = 1) -> Response:
    """Return the list alone, for a page that is open."""
    return bare("_inbox.html", **await _waiting(visitor, number))


async def _waiting(visitor: Visitor, number: int) -> dict[str, Any]:
    waiting = paged(await visitor.desk.pending(), number, _SIZE)
    return {"waiting": waiting, "in_the_way": [await visitor.desk.in_the_way(card) for card in waiting.items]}
