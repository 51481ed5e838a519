"""Every page in one list."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import Scope

from osprey_executor.interfaces.web.pages import (
    cards,
    files,
    handover,
    health,
    inbox,
    machine,
    new_task,
    restoring,
    runs,
    settling,
    signing_in,
    static_files,
    watching,
)
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.sessions import Sessions

_PAGES = (
    static_files,
    signing_in,
    inbox,
    cards,
    runs,
    watching,
    files,
    restoring,
    settling,
    machine,
    handover,
    new_task,
    health,
)


def add_pages(app: FastAPI, sessions: Sessions) -> None:
    """Let the application answer browsers; who has signed in is known to `sessions`."""
    app.state.sessions = sessions
    for page in _PAGES:
        app.include_router(page.router)


def page_routes() -> list[PageRoute]:
    """Return the route of every page."""
    return [route for page in _PAGES for route in page.router.routes if isinstance(route, PageRoute)]


def is_page(scope: Scope) -> bool:
    """Tell whether a request is for a page: there people sign in, and a token in a header is not asked for."""
    return any(route.matches(scope)[0] is Match.FULL for route in page_routes())
