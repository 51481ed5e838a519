"""Who stands at a door of the service, and what there is to be done there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name is made of letters, digits and . _ @ + -, begins with one of the first two, up to 64")
    return name


PersonName = Annotated[str, AfterValidator(_plain)]


Proof = Literal["system", "host", "token", "proxy"]
"""How it is known who somebody is: by the account of this process; by a word that any program of this host could say;
by a token of theirs; by a proxy that the site trusts."""


ADVISORY: frozenset[str] = frozenset(("system", "host"))
"""Proofs that the program which asked for a run could give as well as a person."""
Credential = str | Callable[[], Awaitable[str | None] | str | None]
"""A token, or what asks for one: called where one is needed, and nowhere else."""


class Role(StrEnum):
    """What a person is to the service; one may be several things."""

    REQUESTER = "requester"
    """Asks for runs, and sees those of their own."""
    VIEWER = "viewer"
    """Sees all runs, and changes nothing."""
    APPROVER = "approver"
    """Decides, and answers for the machine: stops and resumes writes, restores, settles."""
    ADMIN = "admin"
    """Says who is who."""


class Action(StrEnum):
    """What somebody may want of the service."""

    SUBMIT = "submit"
    """Runs and rehearsals of their own."""
    SEE = "see"
    """A run: its code, results, artifacts, record."""
    CANCEL = "cancel"
    DECIDE = "decide"
    RESTORE = "restore"
    SETTLE = "settle"
    STOP_WRITES = "stop writes"
    RESUME_WRITES = "resume writes"
    MANAGE_PEOPLE = "manage people"


class Person(BaseModel):
    """Somebody who has shown who they are."""

    model_config = ConfigDict(frozen=True)

    name: str
    roles: frozenset[Role]
    proof: Proof
    """How it is known who they are."""


class PersonRecord(BaseModel):
    """A person as the list of the site's people shows them; never with what their token is checked against."""

    model_config = ConfigDict(frozen=True)

    name: PersonName
    roles: frozenset[Role]
