"""Gives browsers what every page needs; it holds nothing secret and needs no sign-in."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from osprey_executor.errors import RunNotFoundError
from osprey_executor.interfaces.web.pages.assets import content
from osprey_executor.interfaces.web.pages.routes import PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_TYPES: Final = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@router.get("/static/{name}")
async def asset(name: str) -> Response:
    """Return a file of the package."""
    if name not in _TYPES:
        raise RunNotFoundError("there is no such file")
    return Response(content(name), media_type=_TYPES[name], headers={"Cache-Control": "private, max-age=86400"})
