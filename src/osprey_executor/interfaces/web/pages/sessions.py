"""Who has signed in at a browser: sessions of this process, found by a cookie that says nothing by itself."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from osprey_executor.errors import NotIdentifiedError
from osprey_executor.models import Person

LONGEST: Final = 12 * 3600.0
"""Seconds after which a session ends, however much it was used: a shift and its hand-over."""
_LINK: Final = 15 * 60.0
_MOST: Final = 1000


@dataclass(frozen=True)
class _Session:
    token: str
    until: float


class Sessions:
    """Sessions in memory: a restart of the service signs everybody out, and no disk ever holds one.

    A session keeps the token that opened it and asks at each request whose it is, so another role, a new token and the
    removal of a person hold at once.

    Args:
        identify: tells whose token that is, or raises `NotIdentifiedError`.
        clock: seconds that never go back.
    """

    def __init__(self, identify: Callable[[str], Person], clock: Callable[[], float] = time.monotonic) -> None:
        self._identify = identify
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._open: dict[str, _Session] = {}
        self._links: dict[str, _Session] = {}

    def begin(self, token: str) -> str:
        """Return the id of a new session of whoever has that token.

        Raises:
            NotIdentifiedError: it is nobody's.
            StorageError: the list of people cannot be read.
        """
        self._identify(token)
        now = self._clock()
        self._open = {name: one for name, one in self._open.items() if one.until > now}
        if len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        session = secrets.token_urlsafe(32)
        self._open[_digest(session)] = _Session(token, now + LONGEST)
        return session

    def link(self, token: str) -> str:
        """Return a secret that signs in who has that token: once, and within a quarter of an hour."""
        secret = secrets.token_urlsafe(32)
        self._links[_digest(secret)] = _Session(token, self._clock() + _LINK)
        return secret

    def redeem(self, secret: str) -> str:
        """Return the id of a new session, for the secret of a link, which is void from then on.

        Raises:
            NotIdentifiedError: there is no such link, or not any more.
        """
        link = self._links.pop(_digest(secret), None)
        if link is None or link.until <= self._clock():
            raise NotIdentifiedError("that link was used before, or is too old: sign in with your token")
        return self.begin(link.token)

    def person(self, session: str) -> Person:
        """Return whose session that is, with the roles of this moment.

        Raises:
            NotIdentifiedError: nobody's, not any more, or the token that opened it is void.
            StorageError: the list of people cannot be read.
        """
        found = self._open.get(_digest(session))
        if found is None or found.until <= self._clock():
            self.end(session)
            raise NotIdentifiedError("sign in to see this page")
        try:
            return self._identify(found.token)
        except NotIdentifiedError:
            self.end(session)
            raise

    def end(self, session: str) -> None:
        """End a session; there may be none."""
        self._open.pop(_digest(session), None)

    def form_key(self, session: str) -> str:
        """Return what each form of a session carries, and no page of another site can know."""
        return hmac.new(self._key, session.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
