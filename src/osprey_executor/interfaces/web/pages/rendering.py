"""From data to a page: every value is made visible and escaped, and no script but ours runs."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Final, cast
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from osprey_executor.interfaces.web.pages.assets import address_of
from osprey_executor.interfaces.web.pages.visitor import Visitor, set_cookie
from osprey_executor.interfaces.web.pages.words import age, decided_words, number, span, state_words, when
from osprey_executor.models import Action
from osprey_executor.text import one_line, visible

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With `no-referrer` browsers send `Origin: null` with a form, and we could not tell whose page sent it.
    "Referrer-Policy": "same-origin",
}


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("osprey_executor.interfaces.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = cast("dict[str, Any]", templates.filters)  # pyright: ignore[reportUnknownMemberType]
    filters.update(age=age, decided=decided_words, line=one_line, number=number, path=_path)
    filters.update(span=span, state=state_words, when=when)
    names = cast("dict[str, Any]", templates.globals)  # pyright: ignore[reportUnknownMemberType]
    names.update(asset=address_of, clock=lambda: int(time.time() * 1000), Action=Action)
    return templates


def _path(text: str) -> str:
    return quote(text, errors="replace")


def _shown(value: Any) -> Any:
    """Return what stands in the place of an expression: text of whatever origin with all that hides in it spelled out.

    What comes of a macro was made so before, and is not touched again.
    """
    if value is None:
        return ""
    return value if isinstance(value, Markup) else visible(str(value))


async def page(request: Request, visitor: Visitor, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page with its frame: who is signed in, where one can go, and whether writes are stopped."""
    known = await frame(visitor)
    response = _answer(template, status, person=visitor.desk.person, here=request.url.path, **known, **values)
    if visitor.fresh:
        set_cookie(request, response, visitor.session)
    return response


async def frame(visitor: Visitor) -> dict[str, Any]:
    """Return what the bar on every page shows, live."""
    sees = visitor.desk.may(Action.SEE)
    return {
        "may": visitor.desk.may,
        "form_key": visitor.form_key,
        "stopped": await visitor.desk.stopped(),
        "waiting_count": (await visitor.desk.pending(limit=1)).total if sees else 0,
    }


def bare(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page, or a piece of one, that needs no frame."""
    return _answer(template, status, **values)


def _answer(template: str, status: int, **values: Any) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(template).render(**values), status, _HEADERS)
