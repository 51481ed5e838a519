"""The application: every route in one list, behind one gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from osprey_executor.interfaces.web.agents import add_agents, serving_agents
from osprey_executor.interfaces.web.answers import Answer
from osprey_executor.interfaces.web.guard import Guard
from osprey_executor.interfaces.web.identify import Doorkeeper, Gate
from osprey_executor.interfaces.web.pages import Sessions, add_pages, is_page
from osprey_executor.interfaces.web.problems import add_problems
from osprey_executor.interfaces.web.rest import add_rest
from osprey_executor.interfaces.web.routes import add_health
from osprey_executor.service import PythonExecutorService


def create_app(service: PythonExecutorService, doorkeeper: Doorkeeper, hosts: Collection[str] = ()) -> FastAPI:
    """Return the application of a service.

    Args:
        service: open for as long as the application serves.
        doorkeeper: tells who asks.
        hosts: names under which the service is known, beside addresses and `localhost`.
    """

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncGenerator[None]:
        async with serving_agents(app):
            yield

    # Its pages of documentation load scripts from elsewhere; its schema stands among the routes, behind the gate.
    app = FastAPI(
        title="osprey-executor",
        version=version("osprey-executor"),
        lifespan=serving,
        default_response_class=Answer,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service = service
    app.state.doorkeeper = doorkeeper
    app.state.closing = asyncio.Event()
    # The last one is asked first.
    app.add_middleware(Gate, doorkeeper=doorkeeper, has_its_own=is_page)
    app.add_middleware(Guard, hosts=hosts)
    add_problems(app)
    add_health(app)
    add_rest(app)
    add_agents(app)
    add_pages(app, Sessions(doorkeeper.still))
    return app
