"""Agents over HTTP at `/mcp`, where the extra `mcp` is installed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from osprey_executor.desk import Desk
from osprey_executor.errors import AccessDeniedError
from osprey_executor.interfaces.web.identify import desk_at
from osprey_executor.interfaces.web.problems import told


class _Identified:
    """Lets nobody in to an application who has not shown who they are."""

    def __init__(self, app: ASGIApp, desk_of: Callable[[Request], Desk]) -> None:
        self._app = app
        self._desk_of = desk_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            self._desk_of(request)
        except AccessDeniedError as error:
            await (await told(request, error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def add_agents(app: FastAPI) -> None:
    """Let the application answer at `/mcp`."""
    if find_spec("mcp") is None:
        return
    from osprey_executor.interfaces.mcp.over_http import mounted

    def desk_of(request: Request) -> Desk:
        return desk_at(app, request)

    app.state.agents, agents = mounted(desk_of)
    # A route, and no mount, which would answer at `/mcp/` alone.
    app.router.routes.append(Route("/mcp", endpoint=_Identified(agents, desk_of)))


@asynccontextmanager
async def serving_agents(app: FastAPI) -> AsyncGenerator[None]:
    """Let the sessions of agents begin and end for as long as the context lasts."""
    if (agents := getattr(app.state, "agents", None)) is None:
        yield
        return
    async with agents.session_manager.run():
        yield
