"""In and out: with a token, or once with the link that `serve` prints."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.errors import NotIdentifiedError
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.sessions import Sessions
from osprey_executor.interfaces.web.pages.stranger import safe_place, sign_in_page
from osprey_executor.interfaces.web.pages.visitor import (
    Posted,
    SignedIn,
    checked_form,
    cookie_name,
    field,
    set_cookie,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
async def show(request: Request) -> Response:
    """Show the form; who has signed in goes on."""
    sessions: Sessions = request.app.state.sessions
    try:
        sessions.person(request.cookies.get(cookie_name(request), ""))
    except NotIdentifiedError:
        return sign_in_page(request, "")
    return RedirectResponse("/", 303)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session with a token."""
    sessions: Sessions = request.app.state.sessions
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    before = request.cookies.get(cookie_name(request), "")
    async with checked_form(request, sessions.form_key(before)) as form:
        token = field(form, "token").strip()
        request.state.wanted = place = safe_place(field(form, "place"))
        doorkeeper.sign_in(request, token)
        session = sessions.begin(token)
        sessions.end(before)
        return _signed_in(request, session, place)


@router.get("/sign-in/{secret}")
async def by_link(request: Request, secret: str) -> Response:
    """Open a session with the link that was printed."""
    sessions: Sessions = request.app.state.sessions
    session = sessions.redeem(secret)
    sessions.end(request.cookies.get(cookie_name(request), ""))
    return _signed_in(request, session, "/")


@router.post("/sign-out")
async def sign_out(request: Request, visitor: SignedIn, form: Posted) -> Response:
    """End the session."""
    sessions: Sessions = request.app.state.sessions
    sessions.end(visitor.session)
    raise NotIdentifiedError("you have signed out")


def _signed_in(request: Request, session: str, place: str) -> Response:
    response = RedirectResponse(place, 303)
    set_cookie(request, response, session)
    return response
