"""Who may say yes to a real machine, and how they show that it is they: by something that the asking program lacks."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Protocol

from osprey_executor.access._people import People
from osprey_executor.access._throttle import Throttle
from osprey_executor.audit import Trail
from osprey_executor.config import AccessConfig
from osprey_executor.errors import AccessDeniedError, NotIdentifiedError
from osprey_executor.models import (
    ADVISORY,
    ApprovalCard,
    Approve,
    ControlSystemReport,
    Credential,
    Decision,
    Person,
    Role,
    system_user,
)

_HERE = "this process"
_MOST_NAMED = 5


class KnownYes(Protocol):
    """A yes that was given before."""

    @property
    def by(self) -> str:
        """Who gave it."""
        ...

    @property
    def proof(self) -> str:
        """How it was known who that was."""
        ...


@dataclass(frozen=True)
class Decider:
    """Somebody who decides, as far as they have shown who they are."""

    name: str
    credential: Credential | None = None
    person: Person | None = None
    """Who a door has found them to be; None: nobody has looked."""

    @classmethod
    def of(cls, approver: str | Person | None, credential: Credential | None = None) -> Decider:
        """Return whoever a caller names; None: the user of the system."""
        if isinstance(approver, Person):
            return cls(approver.name, credential, approver)
        return cls(approver or system_user(), credential)


class Approvers:
    """The approvers of a site.

    As long as there is none, whoever has the account of the service approves, and that is called advisory.
    """

    def __init__(self, people: People, access: AccessConfig, trail: Trail) -> None:
        self._people = people
        self._proxy = access.proxy
        self._trail = trail
        self._throttle = Throttle(access.wrong_tokens)

    def names(self) -> list[str]:
        """Return who may approve.

        Raises:
            StorageError: the list of people cannot be read.
        """
        known = {one.name: one.roles for one in self._people.all()}
        told = {name: frozenset(roles) for name, roles in self._proxy.roles.items()} if self._proxy else {}
        return sorted(name for name, roles in (told | known).items() if Role.APPROVER in roles)

    def roles_of(self, name: str) -> frozenset[Role]:
        """Return the roles of a person by name; none for whom nobody knows."""
        known = {one.name: one.roles for one in self._people.all()}
        return known.get(name) or frozenset(self._proxy.roles.get(name, ()) if self._proxy else ())

    def stands(self, yes: KnownYes) -> bool:
        """Return whether a yes that was remembered still counts: not that of a token whose holder approves no more."""
        return yes.proof in ADVISORY or all(name in self.names() for name in yes.by.split(" and "))

    def words(self, control: ControlSystemReport) -> str:
        """Return how it is known who approves for a machine; empty where it is not real, as nobody is asked there."""
        if not control.real:
            return ""
        names = self.names()
        if not names:
            return (
                "advisory approval: whoever has the account of this service can give it, programs too; "
                "`osprey-executor users add NAME --role approver` makes it need a token"
            )
        return f"needs the token of an approver: {_listed(names)}"

    async def proven(self, decider: Decider, decision: Decision, card: ApprovalCard) -> Person:
        """Return who decides about a card, once they have shown it where they must.

        Raises:
            AccessDeniedError: they have not, or may not.
            StorageError: the list of people cannot be read.
        """
        needed = isinstance(decision, Approve) and (card.persons > 1 or (card.control_system.real and self.names()))
        return await self._who(decider, f"approving run {card.run_id}", needed=bool(needed))

    async def proven_for(self, decider: Decider, what: str, control: ControlSystemReport) -> Person:
        """Do as `proven` does for what is done to a machine without a card."""
        return await self._who(decider, what, needed=control.real and bool(self.names()))

    async def _who(self, decider: Decider, what: str, *, needed: bool) -> Person:
        if decider.person is not None:
            person = decider.person
        elif isinstance(decider.credential, str) or (needed and decider.credential is not None):
            person = await self._identified(decider.credential, what)
        else:
            person = Person(name=decider.name, roles=frozenset(Role), proof="system")
        if needed and person.proof in ADVISORY:
            raise AccessDeniedError(f"{what} {self._remedy()}")
        if needed and Role.APPROVER not in person.roles:
            raise AccessDeniedError(f"{what} needs an approver, which {person.name} is not")
        return person

    async def _identified(self, credential: Credential, what: str) -> Person:
        given = credential if isinstance(credential, str) else credential()
        token = await given if inspect.isawaitable(given) else given
        if not token:
            raise AccessDeniedError(f"{what} {self._remedy()}")
        self._throttle.demand(_HERE)
        try:
            return self._people.identify(token)
        except NotIdentifiedError as error:
            self._throttle.wrong(_HERE)
            self._trail.note("sign-in refused", peer=_HERE, why=str(error))
            raise

    def _remedy(self) -> str:
        names = self.names()
        who = f" ({_listed(names)})" if names else ": `osprey-executor users add NAME --role approver`"
        return (
            f"needs the token of an approver{who}; nothing is decided. Type it where `osprey-executor approve` asks "
            "for it at a terminal, or decide over HTTP; from Python: decide(..., credential=TOKEN)"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
