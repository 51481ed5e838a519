"""The machine: who may write to it at this moment, and the switch that stops them all."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.errors import InvalidRequestError
from osprey_executor.interfaces.web.pages.rendering import bare, frame, page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.stranger import safe_place
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn, field
from osprey_executor.text import one_line

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/machine")
async def show(request: Request, visitor: SignedIn) -> Response:
    """Show who writes what now."""
    return await page(request, visitor, "machine.html", writing=await visitor.desk.writing())


@router.get("/machine/now")
async def now(visitor: SignedIn) -> Response:
    """Return who writes alone, for a page that is open."""
    return bare("_writing.html", writing=await visitor.desk.writing())


@router.get("/standing")
async def standing(visitor: SignedIn, here: str = "/") -> Response:
    """Return the bar that stands on every page: whether writes are stopped, and the button that stops them."""
    return bare(
        "_standing.html",
        here=safe_place(here),
        **await frame(visitor),
    )


@router.post("/machine/stop")
async def stop(visitor: SignedIn, form: Posted) -> Response:
    """Stop every write, at once and without a question; the reason may be told later."""
    await visitor.desk.stop_writes(one_line(field(form, "reason").strip(), 200))
    return RedirectResponse(safe_place(field(form, "here")), 303)


@router.post("/machine/allow")
async def allow(visitor: SignedIn, form: Posted) -> Response:
    """Allow writes again, for who has ticked that they have looked."""
    if field(form, "sure") != "yes":
        raise InvalidRequestError("writes stay stopped: tick the box that says that the machine was looked at")
    await visitor.desk.allow_writes()
    return RedirectResponse("/machine", 303)
