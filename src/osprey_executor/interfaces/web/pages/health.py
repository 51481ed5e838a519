"""Health: what this service is connected to, and what `doctor` sees here."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from osprey_executor.errors import AccessDeniedError, ServiceBusyError
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn
from osprey_executor.models import Action

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_TURN = asyncio.Lock()


@router.get("/health")
async def show(request: Request, visitor: SignedIn) -> Response:
    """Show what is configured."""
    if not visitor.desk.may(Action.SEE, ""):
        raise AccessDeniedError("the health of the service is for viewers, approvers and administrators")
    return await page(request, visitor, "health.html", config=visitor.desk.service.config, probes=None)


@router.post("/health")
async def probe(request: Request, visitor: SignedIn, form: Posted) -> Response:
    """Try what must be refused and what is needed, one visitor at a time: it starts sandboxes."""
    if _TURN.locked():
        raise ServiceBusyError("somebody looks at this moment: try again in a few seconds")
    async with _TURN:
        probes = await visitor.desk.probes()
    return await page(request, visitor, "health.html", config=visitor.desk.service.config, probes=probes)
