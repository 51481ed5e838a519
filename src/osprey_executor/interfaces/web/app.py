"""The application: every route in one list, behind one doorkeeper, for as long as the service is open."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from osprey_executor.interfaces.web.agents import add_agents, serving_agents
from osprey_executor.interfaces.web.guard import Guard
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.interfaces.web.problems import add_problems
from osprey_executor.interfaces.web.routes import add_health
from osprey_executor.service import PythonExecutorService


def create_app(service: PythonExecutorService, doorkeeper: Doorkeeper) -> FastAPI:
    """Return the application of a service, which it opens when it starts and closes when it ends.

    Args:
        service: not opened yet.
        doorkeeper: tells who asks.
    """

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncGenerator[None]:
        async with service, serving_agents(app):
            yield

    # Its pages of documentation load scripts from elsewhere, and its schema is for those who have shown who they are.
    app = FastAPI(title="osprey-executor", lifespan=opened, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.service = service
    app.state.doorkeeper = doorkeeper
    app.add_middleware(Guard)
    add_problems(app)
    add_health(app)
    add_agents(app)
    return app
