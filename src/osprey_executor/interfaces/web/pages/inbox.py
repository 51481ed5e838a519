"""The inbox: what waits for a person, the oldest first."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.interfaces.web.pages.rendering import bare, page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import SignedIn, Visitor
from osprey_executor.models import WaitingPage

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_SIZE = 20


@router.get("/")
async def begin(visitor: SignedIn) -> Response:
    """Begin where most visitors want to be."""
    return RedirectResponse("/approvals", 303)


@router.get("/approvals")
async def show(request: Request, visitor: SignedIn, after: str = "") -> Response:
    """Show what waits."""
    return await page(request, visitor, "inbox.html", after=after, waiting=await _waiting(visitor, after))


@router.get("/inbox")
async def now(visitor: SignedIn, after: str = "") -> Response:
    """Return the list alone, for a page that is open."""
    return bare("_inbox.html", after=after, waiting=await _waiting(visitor, after))


async def _waiting(visitor: Visitor, after: str) -> WaitingPage:
    return await visitor.desk.pending(limit=_SIZE, after=after)
