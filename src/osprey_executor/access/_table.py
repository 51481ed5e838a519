"""The one table of roles and actions."""

from __future__ import annotations

from osprey_executor.models import Action, Person, Role, system_user

_OWN = {Role.REQUESTER: frozenset((Action.SUBMIT, Action.SEE, Action.CANCEL))}
"""What a role may do with runs that its holder has asked for."""
_ALL = {
    Role.VIEWER: frozenset((Action.SEE,)),
    Role.APPROVER: frozenset(
        (
            Action.SEE,
            Action.CANCEL,
            Action.DECIDE,
            Action.RESTORE,
            Action.SETTLE,
            Action.STOP_WRITES,
            Action.RESUME_WRITES,
        )
    ),
    Role.ADMIN: frozenset((Action.SEE, Action.MANAGE_PEOPLE)),
}
"""What a role may do, whose run it ever is."""
_NONE: frozenset[Action] = frozenset()


def may(person: Person, action: Action, owner: str | None = None) -> bool:
    """Tell whether a person may do something.

    Args:
        person: who.
        action: what.
        owner: who asked for the run that it is done to; None: it is done to no run of anybody's.
    """
    own = owner is None or owner == person.name
    return any(action in _ALL.get(role, _NONE) or (own and action in _OWN.get(role, _NONE)) for role in person.roles)


def system_person() -> Person:
    """Return the person of this process, who holds the state folder and so may do all that it can show."""
    return Person(name=system_user(), roles=frozenset(Role), proof="system")
