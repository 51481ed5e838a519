"""Who stands at the door: found out once, for every route alike."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.applications import Starlette

from osprey_executor.desk import Desk
from osprey_executor.models import Person
from osprey_executor.service import Identity, PythonExecutorService


class Doorkeeper:
    """Tells from a request who asks. Without a token, or a proxy that vouches, nobody does."""

    def __init__(self, identity: Identity) -> None:
        """Tell it by `identity`."""
        self._identity = identity

    def identify(self, request: Request) -> Person:
        """Return who asks.

        Raises:
            NotIdentifiedError: nobody knows.
            StorageError: the list of people cannot be read.
        """
        return self._identity.of(request.headers.items(), request.client.host if request.client else None)


def desk_at(app: Starlette, request: Request) -> Desk:
    """Return the desk of who asks.

    Raises:
        NotIdentifiedError: nobody knows who that is.
    """
    service: PythonExecutorService = app.state.service
    doorkeeper: Doorkeeper = app.state.doorkeeper
    return Desk(service, doorkeeper.identify(request))


def _desk(request: Request) -> Desk:
    return desk_at(request.app, request)


AtDesk = Annotated[Desk, Depends(_desk)]
"""The parameter of every route but `/healthz`: what who asks may do."""
