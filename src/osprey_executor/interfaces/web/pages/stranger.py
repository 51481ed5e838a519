"""What a stranger sees, wherever they want to go: the page to sign in at."""

from __future__ import annotations

import re
import secrets

from fastapi import Request, Response

from osprey_executor.interfaces.web.pages.rendering import bare
from osprey_executor.interfaces.web.pages.sessions import Sessions
from osprey_executor.interfaces.web.pages.visitor import cookie_name, set_cookie

_PLACE = re.compile(r"/(?:[A-Za-z0-9._~-][A-Za-z0-9._~/-]*)?")
"""A path of this service; `//elsewhere` is none."""


def sign_in_page(request: Request, why: str) -> Response:
    """Return the page to sign in at, with which the visitor comes to where they wanted to go."""
    sessions: Sessions = request.app.state.sessions
    # Its form carries a key, too: nobody is to be signed in as somebody else by a page of another site. The session
    # that begins has another id, whatever this one is.
    known = request.cookies.get(cookie_name(request), "")
    stranger = known or secrets.token_urlsafe(32)
    wanted = request.url.path if request.method == "GET" and request.url.path != "/sign-in" else "/"
    wanted = getattr(request.state, "wanted", wanted)  # who mistyped their token still wants to go there
    # A link from another site comes without our cookie. The page loads itself once more, and then it is there.
    again = request.method == "GET" and request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    response = bare(
        "sign_in.html", 401, why=why, place=safe_place(wanted), form_key=sessions.form_key(stranger), again=again
    )
    response.headers["WWW-Authenticate"] = "Bearer"  # which makes no browser ask by itself
    if not known and not again:
        set_cookie(request, response, stranger)
    return response


def safe_place(place: str) -> str:
    """Return a place of this service to go to."""
    return place if _PLACE.fullmatch(place) else "/"
