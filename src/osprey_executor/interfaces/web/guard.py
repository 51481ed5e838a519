"""What holds for every request and every answer: its host, the size and the time of its body, headers for browsers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osprey_executor.interfaces.web.problems import problem
from osprey_executor.text import one_line

LARGEST_BODY: Final = 32 << 20
"""Bytes."""
_BODY_SECONDS: Final = 60.0
"""In which the whole of it must have come."""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?")
"""A name or an address and a port, as they stand in a URL: what is nearly so would break the reading of ours."""
_TOO_LARGE: Final = f"the body is larger than {LARGEST_BODY >> 20} MiB; nothing was done"
_TOO_SLOW: Final = "the body did not come in time; nothing was done"


class Guard:
    """Middleware. A route that answers with another policy of its own keeps it."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), body_seconds: float = _BODY_SECONDS) -> None:
        """Guard an application.

        Args:
            app: what is behind it.
            hosts: names under which it is known, beside addresses and `localhost`.
            body_seconds: in which the whole of a body must have come.
        """
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, bounded, and its answer back with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not self._knows(headers.getlist("host")):
            host = one_line(", ".join(headers.getlist("host")), 80)
            told = f"this service is not {host!r}: ask it by its address, or name it under serve.hosts"
            await problem(421, "MisdirectedRequest", told)(scope, receive, guarded)
        elif length.isdecimal() and int(length[:20]) > LARGEST_BODY:
            await problem(413, "BodyTooLarge", _TOO_LARGE)(scope, receive, guarded)
        else:
            await self._app(scope, self._bounded(receive), guarded)

    def _knows(self, given: list[str]) -> bool:
        """Tell whether the host is one of ours. A page of another site reaches us only under that site's name.

        (DNS rebinding: the browser believes that we are that site. An address cannot be rebound.)
        """
        host = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if host is None or int(host[2] or 0) > 0xFFFF:
            return False
        name = host[1]
        try:
            return bool(ip_address(name.removeprefix("[").removesuffix("]")))
        except ValueError:
            return name.lower() in self._hosts

    def _bounded(self, receive: Receive) -> Receive:
        seen, whole = 0, False
        end = asyncio.get_running_loop().time() + self._body_seconds

        async def bounded() -> Message:
            nonlocal seen, whole
            if whole:  # what comes now is the news that the client has gone
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, _TOO_SLOW, {"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > LARGEST_BODY:
                raise HTTPException(413, _TOO_LARGE, {"Connection": "close"})
            return message

        return bounded
