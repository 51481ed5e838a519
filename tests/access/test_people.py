"""The list of people: tokens that let in, that do not, and a file that others may not read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from osprey_executor.access import People, may, system_person
from osprey_executor.errors import InvalidRequestError, NotIdentifiedError, StorageError
from osprey_executor.models import Action, Person, Role


def test_a_token_lets_in_whose_it_is_and_nobody_else(tmp_path: Path) -> None:
    people = People(tmp_path)
    anna = people.add("anna", [Role.REQUESTER])
    ben = people.add("ben", [Role.APPROVER, Role.VIEWER])
    assert People(tmp_path).identify(anna) == Person(name="anna", roles=frozenset((Role.REQUESTER,)), proof="token")
    assert people.identify(ben).roles == {Role.APPROVER, Role.VIEWER}
    for wrong in ("", "anna", anna[:-1], anna + "x", anna.upper(), "x" * 10_000, "\ud800"):
        with pytest.raises(NotIdentifiedError, match="nobody's token"):
            people.identify(wrong)


def test_a_new_token_and_a_removal_void_the_old_one_in_every_process(tmp_path: Path) -> None:
    people, other = People(tmp_path), People(tmp_path)
    first = people.add("anna", [Role.REQUESTER])
    assert other.identify(first).name == "anna"
    second = people.renew("anna")
    assert other.identify(second).name == "anna"
    with pytest.raises(NotIdentifiedError):
        other.identify(first)
    people.give("anna", [Role.VIEWER])
    assert other.identify(second).roles == {Role.VIEWER}
    people.remove("anna")
    with pytest.raises(NotIdentifiedError):
        other.identify(second)
    assert other.all() == []


def test_the_file_holds_no_token_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = People(tmp_path).add("anna", [Role.ADMIN])
    file = tmp_path / "people.json"
    assert token.removeprefix("osprey-") not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    first = tmp_path / "new" / "home"
    People(first).add("anna", [Role.ADMIN])
    assert first.stat().st_mode & 0o777 == 0o700, "who begins with people makes the state folder"
    (first / "people.lock").unlink()
    (first / "people.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be written"):
        People(first).add("ben", [Role.ADMIN])
    assert not (tmp_path / "elsewhere").exists()
    file.chmod(0o644)
    with pytest.raises(StorageError, match="chmod 600"):
        People(tmp_path).identify(token)


@pytest.mark.parametrize("damage", ["", "{}", "[1]", json.dumps([{"name": "anna", "roles": ["king"]}]), "\xff"])
def test_a_damaged_list_lets_nobody_in(tmp_path: Path, damage: str) -> None:
    token = People(tmp_path).add("anna", [Role.ADMIN])
    (tmp_path / "people.json").write_text(damage, encoding="latin-1")
    with pytest.raises(StorageError, match="damaged"):
        People(tmp_path).identify(token)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "a" * 65, "a\n", "ann\u200ba"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="a name is made of"):
        People(tmp_path).add(name, [Role.VIEWER])


def test_who_is_not_there_and_who_is_there_already(tmp_path: Path) -> None:
    people = People(tmp_path)
    people.add("anna", [Role.VIEWER])
    with pytest.raises(InvalidRequestError, match="there is a person anna already"):
        people.add("anna", [Role.VIEWER])
    with pytest.raises(InvalidRequestError, match="needs a role"):
        people.give("anna", [])
    for change in (people.renew, people.remove, lambda name: people.give(name, [Role.VIEWER])):
        with pytest.raises(InvalidRequestError, match="no person 'ben'"):
            change("ben")


def test_two_who_change_the_list_at_once_lose_nobody(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: People(tmp_path).add(name, [Role.VIEWER]), names))
    assert {one.name for one in People(tmp_path).all()} == set(names)


OWN, OTHERS = "anna", "ben"
ALLOWED: dict[Role, set[tuple[Action, str]]] = {
    Role.REQUESTER: {(Action.SUBMIT, OWN), (Action.SEE, OWN), (Action.CANCEL, OWN)},
    Role.VIEWER: {(Action.SEE, OWN), (Action.SEE, OTHERS)},
    Role.APPROVER: {
        (action, whose) for action in set(Action) - {Action.SUBMIT, Action.MANAGE_PEOPLE} for whose in (OWN, OTHERS)
    },
    Role.ADMIN: {(action, whose) for action in (Action.SEE, Action.MANAGE_PEOPLE) for whose in (OWN, OTHERS)},
}


@pytest.mark.parametrize("role", Role)
def test_the_table_of_roles_and_actions(role: Role) -> None:
    person = Person(name=OWN, roles=frozenset((role,)), proof="token")
    seen = {(action, whose) for action in Action for whose in (OWN, OTHERS) if may(person, action, whose)}
    assert seen == ALLOWED[role]


def test_who_has_no_role_may_nothing_and_who_holds_the_folder_all() -> None:
    nobody = Person(name=OWN, roles=frozenset(), proof="token")
    assert not any(may(nobody, action, whose) for action in Action for whose in (OWN, OTHERS, None))
    assert all(may(system_person(), action, whose) for action in Action for whose in (system_person().name, None))
