"""The server on standard input and output, for who starts it: they may ask for runs, and see their own."""

from __future__ import annotations

import asyncio

from osprey_executor.desk import Desk
from osprey_executor.interfaces.mcp.server import create_server
from osprey_executor.models import Person, Role, system_user
from osprey_executor.service import PythonExecutorService


def serve_stdio(service: PythonExecutorService) -> None:
    """Serve until standard input ends."""
    asyncio.run(_serve(service))


async def _serve(service: PythonExecutorService) -> None:
    # An agent is not the person who started it: it gets no role that decides.
    person = Person(name=system_user(), roles=frozenset((Role.REQUESTER,)), proof="system")
    async with service:
        await create_server(lambda _: Desk(service, person)).run_stdio_async()
