"""How long a session lives, and how many there are."""

from __future__ import annotations

import pytest

from osprey_executor.errors import NotIdentifiedError
from osprey_executor.interfaces.web.pages import Sessions
from osprey_executor.interfaces.web.pages.sessions import LONGEST
from osprey_executor.models import Person


def test_a_session_ends_with_the_shift_and_a_link_earlier() -> None:
    now = [0.0]
    known = Person(name="a", roles=frozenset(), proof="token")
    sessions = Sessions(lambda token: known, clock=lambda: now[0])
    session, link = sessions.begin("t"), sessions.link("t")
    now[0] = LONGEST - 1
    assert sessions.person(session) == known
    with pytest.raises(NotIdentifiedError, match="too old"):
        sessions.redeem(link)
    now[0] = LONGEST
    with pytest.raises(NotIdentifiedError):
        sessions.person(session)


def test_sessions_do_not_grow_without_end() -> None:
    sessions = Sessions(lambda token: Person(name="a", roles=frozenset(), proof="token"))
    first = sessions.begin("t")
    last = [sessions.begin("t") for _ in range(1000)][-1]
    assert sessions.person(last)
    with pytest.raises(NotIdentifiedError):
        sessions.person(first)
