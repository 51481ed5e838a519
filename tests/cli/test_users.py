"""`users`: tokens are shown once, wrong names and roles are told, and one JSON document comes out where asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.service import People

from .conftest import Cli


def test_a_person_from_their_first_token_to_their_removal(cli: Cli, home: Path) -> None:
    said = cli("users", "add", "anna", "--role", "requester", "--role", "approver")
    assert said.code == 0
    token = said.out.strip()
    assert token not in said.err
    assert People(home).identify(token).name == "anna"
    assert cli("users", "list", "--json").document == [{"name": "anna", "roles": ["approver", "requester"]}]
    renewed = cli("users", "token", "anna", "--json").document
    assert People(home).identify(renewed["token"]).name == renewed["name"] == "anna"
    assert cli("users", "roles", "anna", "viewer", "--json").document == {"name": "anna", "roles": ["viewer"]}
    listed = cli("users", "list")
    assert "viewer" in listed.out
    assert "osprey-" not in listed.out
    assert cli("users", "remove", "anna").code == 0
    assert "Nobody yet" in cli("users", "list").err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "anna", "--role", "king"], "no role"),
        (["add", "an na", "--role", "viewer"], "a name is made of"),
        (["add", "anna"], "role"),
        (["roles", "nobody", "viewer"], "no person"),
        (["token", "nobody"], "no person"),
        (["remove", "nobody"], "no person"),
    ],
)
def test_what_cannot_be_is_told(cli: Cli, arguments: list[str], told: str) -> None:
    said = cli("users", *arguments)
    assert said.code == 2
    assert told in said.err
