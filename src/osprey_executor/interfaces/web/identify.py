"""Who stands at the door: found out once, before anything else is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Final

from fastapi import Depends
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from osprey_executor.desk import Desk
from osprey_executor.errors import AccessDeniedError, PythonExecutorException
from osprey_executor.interfaces.web.problems import problem_of
from osprey_executor.models import Person
from osprey_executor.service import Identity, PythonExecutorService

OPEN: Final = ("/healthz",)
"""What strangers may ask for."""


class Doorkeeper:
    """Tells from a request who asks. Without a token, or a proxy that vouches, nobody does."""

    def __init__(self, identity: Identity) -> None:
        """Tell it by `identity`."""
        self._identity = identity

    def identify(self, request: HTTPConnection) -> Person:
        """Return who asks.

        Raises:
            NotIdentifiedError: nobody knows.
            StorageError: the list of people cannot be read.
        """
        return self._identity.of(request.headers.items(), _peer(request))

    def same(self, request: HTTPConnection, person: Person) -> bool:
        """Tell whether a request that was let in as that person would be let in now, with the same roles."""
        try:
            return self._identity.again(request.headers.items(), _peer(request)) == person
        except PythonExecutorException:
            return False

    def sign_in(self, request: HTTPConnection, token: str) -> Person:
        """Return whose token that is, typed into the form that the request sends.

        Raises:
            NotIdentifiedError: nobody's.
            StorageError: the list of people cannot be read.
        """
        return self._identity.of([("authorization", f"Bearer {token}")], _peer(request))

    def still(self, token: str) -> Person:
        """Return whose token that is now, of a session that was opened with it.

        Raises:
            NotIdentifiedError: nobody's any more.
            StorageError: the list of people cannot be read.
        """
        return self._identity.still(token)


def _peer(request: HTTPConnection) -> str | None:
    return request.client.host if request.client else None


class Gate:
    """Middleware: lets nobody in who has not shown who they are, so that strangers cannot even tell what there is."""

    def __init__(
        self,
        app: ASGIApp,
        doorkeeper: Doorkeeper,
        open_to_all: Collection[str] = OPEN,
        has_its_own: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        """Guard an application.

        Args:
            app: what is behind it.
            doorkeeper: tells who asks.
            open_to_all: what strangers may ask for.
            has_its_own: tells of a request that a gate of its own looks at it, as pages do, where people sign in.
        """
        self._app = app
        self._doorkeeper = doorkeeper
        self._open = frozenset(open_to_all)
        self._has_its_own = has_its_own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request of a person, who stands in its state from then on."""
        if scope["type"] == "http" and scope["path"] not in self._open and not self._has_its_own(scope):
            try:
                request = HTTPConnection(scope)
                person = self._doorkeeper.identify(request)
                # A proxy vouches for a browser, whoever has written the page that lets it ask. Programs show a token.
                if "authorization" not in request.headers and of_another_site(request):
                    raise AccessDeniedError("a page of another site has sent this: nothing was done")
            except PythonExecutorException as error:
                await problem_of(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["person"] = person
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


def of_another_site(request: HTTPConnection) -> bool:
    """Tell whether a browser says that a page of another site has sent a request; programs say nothing of it."""
    host = request.headers.get("host", "")
    return request.headers.get("origin", f"http://{host}") not in (f"http://{host}", f"https://{host}")


def desk_at(app: Starlette, request: HTTPConnection) -> Desk:
    """Return the desk of who asks; only behind the gate is there one."""
    service: PythonExecutorService = app.state.service
    return Desk(service, request.state.person)


def _desk(request: HTTPConnection) -> Desk:
    return desk_at(request.app, request)


AtDesk = Annotated[Desk, Depends(_desk)]
"""The parameter of every route but `/healthz`: what who asks may do."""
