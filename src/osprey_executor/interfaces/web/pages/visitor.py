"""Who stands before a page, and whether a form that arrives was sent by them from a page of ours."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from osprey_executor.desk import Desk
from osprey_executor.errors import AccessDeniedError, InvalidRequestError, NotIdentifiedError
from osprey_executor.interfaces.web.identify import Doorkeeper, of_another_site
from osprey_executor.interfaces.web.pages.sessions import Sessions
from osprey_executor.models import Person


@dataclass(frozen=True)
class Visitor:
    """Somebody who has signed in."""

    desk: Desk
    session: str
    form_key: str
    fresh: bool = False
    """Whether the browser has no cookie yet."""


def cookie_name(request: Request) -> str:
    """Return the name of our cookie: browsers keep no cookies apart by port, and a machine may have two services."""
    return f"osprey-{request.url.port or request.url.scheme}"


def set_cookie(request: Request, response: Response, session: str) -> None:
    """Let the browser keep the session, for as long as it runs; no script and no other site can use it."""
    # Where a proxy ends TLS, only the browser knows of it.
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    response.set_cookie(cookie_name(request), session, httponly=True, samesite="strict", secure=secure)


def visitor_of(request: Request) -> Visitor:
    """Return who sent a request, as things are now.

    Raises:
        NotIdentifiedError: nobody who has signed in.
        StorageError: the list of people cannot be read.
    """
    sessions: Sessions = request.app.state.sessions
    session = request.cookies.get(cookie_name(request), "")
    vouched = _vouched(request)
    if vouched is not None:  # their proxy says so with each request: the cookie serves their forms alone
        fresh = not session
        session = session or secrets.token_urlsafe(32)
        return Visitor(Desk(request.app.state.service, vouched), session, sessions.form_key(session), fresh)
    if not session:
        raise NotIdentifiedError("sign in to see this page")
    person = sessions.person(session)
    return Visitor(Desk(request.app.state.service, person), session, sessions.form_key(session))


def _vouched(request: Request) -> Person | None:
    """Return for whom a proxy vouches that the site trusts; a token is none of its business here."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    if "authorization" in request.headers:
        return None
    try:
        return doorkeeper.identify(request)
    except NotIdentifiedError:
        return None


SignedIn = Annotated[Visitor, Depends(visitor_of)]
"""The parameter of every page but those to sign in with."""


def same_origin(request: Request) -> bool:
    """Tell whether a page of this very service sent the request, as the browser says; one that says nothing did not."""
    return "origin" in request.headers and not of_another_site(request)


@asynccontextmanager
async def checked_form(request: Request, form_key: str) -> AsyncGenerator[FormData]:
    """Yield the fields of a form; its files are gone when it is left.

    Raises:
        AccessDeniedError: no page of ours sent it, or one of another session.
        InvalidRequestError: it is no form.
    """
    form = await _form(request)
    try:
        given = form.get("form_key")
        sent = isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), form_key.encode())
        if not sent or not same_origin(request):
            raise AccessDeniedError(
                "this form was not sent by a page of yours here: nothing was done; load the page anew"
            )
        yield form
    finally:
        await form.close()


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=64, max_fields=64, max_part_size=4 << 20)
    except HTTPException as error:
        if error.status_code != 400:  # it is too large, or came too slowly
            raise
        raise InvalidRequestError(f"the form cannot be read: {error.detail}") from None


async def _posted(request: Request, visitor: SignedIn) -> AsyncGenerator[FormData]:
    async with checked_form(request, visitor.form_key) as form:
        yield form


Posted = Annotated[FormData, Depends(_posted)]
"""The parameter of every route that changes something: its form, sent by the visitor from a page of ours."""


def field(form: FormData, name: str) -> str:
    """Return a field of a form as text, with the ends of lines that Python has; empty where it is not there."""
    value: Any = form.get(name)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""
