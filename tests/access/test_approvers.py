"""Who may answer for a machine: the rule by itself, as settling uses it, without a card."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.access import Approvers, Decider, People
from osprey_executor.audit import Trail
from osprey_executor.config import AccessConfig, config_from
from osprey_executor.errors import AccessDeniedError
from osprey_executor.models import ControlSystemReport, Person, Role

REAL = ControlSystemReport(type="epics", real=True)


def approvers(home: Path, access: AccessConfig | None = None) -> Approvers:
    return Approvers(People(home), access or AccessConfig(), Trail(home))


async def test_settling_a_real_machine_needs_an_approver_as_soon_as_there_is_one(tmp_path: Path) -> None:
    rule, people = approvers(tmp_path), People(tmp_path)
    people.add("anna", [Role.REQUESTER])
    assert (await rule.proven_for(Decider.of("ada"), "settling", REAL)).name == "ada"
    ben = people.add("ben", [Role.APPROVER])
    with pytest.raises(AccessDeniedError, match="settling needs the token of an approver"):
        await rule.proven_for(Decider.of("ada"), "settling", REAL)
    assert (await rule.proven_for(Decider.of("ada", ben), "settling", REAL)).name == "ben"
    assert (await rule.proven_for(Decider.of("ada"), "settling", ControlSystemReport())).proof == "system"
    known = Person(name="anna", roles=frozenset((Role.REQUESTER,)), proof="token")
    with pytest.raises(AccessDeniedError, match="anna is not"):
        await rule.proven_for(Decider.of(known), "settling", REAL)


async def test_people_whom_only_the_proxy_knows_count(tmp_path: Path) -> None:
    proxy = {"header": "X-User", "addresses": ["10.0.0.1"], "roles": {"cleo": ["approver"], "ben": ["approver"]}}
    access = config_from({"access": {"proxy": proxy}}).access
    rule = approvers(tmp_path, access)
    assert rule.names() == ["ben", "cleo"]
    assert rule.words(REAL) == "needs the token of an approver: ben, cleo"
    People(tmp_path).add("ben", [Role.VIEWER])
    assert rule.names() == ["cleo"], "the list of the site counts first"
    assert rule.roles_of("ben") == {Role.VIEWER}
    with pytest.raises(AccessDeniedError):
        await rule.proven_for(Decider.of(None), "settling", REAL)
