"""Who stands at the door: found out once, for every route alike."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from starlette.applications import Starlette

from osprey_executor.desk import Desk
from osprey_executor.errors import NotIdentifiedError
from osprey_executor.models import Person
from osprey_executor.service import People, PythonExecutorService, system_person


class Doorkeeper:
    """Tells from a request who asks. Without a token nobody does."""

    def __init__(self, people: People, own_token: str) -> None:
        """Know the people of a site, and `own_token` of who started the service, which is kept nowhere."""
        self._people = people
        self._own_token = own_token

    def identify(self, request: Request) -> Person:
        """Return who asks.

        Raises:
            NotIdentifiedError: nobody knows.
            StorageError: the list of people cannot be read.
        """
        given = request.headers.getlist("authorization")
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotIdentifiedError(
                "show who you are: Authorization: Bearer TOKEN (`osprey-executor users add NAME` gives one)"
            )
        if hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._own_token.encode()):
            return system_person()
        return self._people.identify(token)


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
