"""Agents over HTTP at `/mcp`, where the extra `mcp` is installed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route

from osprey_executor.desk import Desk
from osprey_executor.errors import NotIdentifiedError
from osprey_executor.interfaces.web.identify import desk_at


def add_agents(app: FastAPI) -> None:
    """Let the application answer at `/mcp`, to those whom the gate has let in."""
    if find_spec("mcp") is None:
        return
    from osprey_executor.interfaces.mcp.over_http import mounted

    def desk_of(request: Request) -> Desk:
        desk, doorkeeper = desk_at(app, request), app.state.doorkeeper
        # A call may wait for an hour, and asks again when it has.
        if not doorkeeper.same(request, desk.person):
            raise NotIdentifiedError("you have other roles now, or another token: ask anew")
        return desk

    app.state.agents, agents = mounted(desk_of)
    # A route, and no mount, which would answer at `/mcp/` alone.
    app.router.routes.append(Route("/mcp", endpoint=agents))


@asynccontextmanager
async def serving_agents(app: FastAPI) -> AsyncGenerator[None]:
    """Let the sessions of agents begin and end for as long as the context lasts."""
    if (agents := getattr(app.state, "agents", None)) is None:
        yield
        return
    async with agents.session_manager.run():
        yield
