"""Who asks over HTTP: tokens, a trusted proxy, and everything that only pretends to be one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.access import Identity, People
from osprey_executor.audit import Trail
from osprey_executor.config import config_from
from osprey_executor.errors import ConfigurationError, NotIdentifiedError
from osprey_executor.models import Person, Role

PROXY = {"header": "X-Forwarded-User", "addresses": ["10.0.0.1", "127.0.0.1", "::1"]}
HEADER = "x-forwarded-user"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def identity(home: Path, own_token: str | None = None, clock: Clock | None = None, **access: Any) -> Identity:
    config = config_from({"access": access}).access
    return Identity(People(home), config, Trail(home), own_token=own_token, clock=clock or Clock())


def refused(home: Path) -> list[str]:
    """Why sign-ins were refused, as the audit trail has it."""
    records = [json.loads(line) for line in (home / "audit.jsonl").read_bytes().splitlines()]
    return [record["why"] for record in records if record["kind"] == "sign-in refused"]


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def test_a_token_tells_who_it_is_and_nothing_is_nobody(tmp_path: Path) -> None:
    token = People(tmp_path).add("anna", [Role.APPROVER])
    who = identity(tmp_path, own_token="mine")
    assert who.of([bearer(token)], "127.0.0.1") == Person(name="anna", roles=frozenset((Role.APPROVER,)), proof="token")
    assert who.of([bearer("mine")], None).proof == "system"
    for headers in ([], [("Authorization", "")], [("Authorization", "Basic YTpi")], [("Authorization", "Bearer ")]):
        with pytest.raises(NotIdentifiedError, match="show who you are"):
            who.of(headers, "127.0.0.1")
    assert refused(tmp_path) == [], "who shows nothing has not tried to sign in"
    with pytest.raises(NotIdentifiedError, match="more than once"):
        who.of([bearer(token), bearer(token)], "127.0.0.1")
    with pytest.raises(NotIdentifiedError, match="nobody's token"):
        who.of([bearer(token + "x")], "127.0.0.1")
    assert len(refused(tmp_path)) == 2
    assert token not in (tmp_path / "audit.jsonl").read_text()


def test_the_word_of_the_proxy_counts_and_roles_are_those_of_the_site(tmp_path: Path) -> None:
    People(tmp_path).add("anna", [Role.APPROVER])
    who = identity(tmp_path, proxy=PROXY | {"roles": {"ben": ["viewer"], "anna": ["admin"]}})
    anna = who.of([("X-Forwarded-User", "anna"), ("Authorization", "Basic YTpi")], "10.0.0.1")
    assert anna == Person(name="anna", roles=frozenset((Role.APPROVER,)), proof="proxy")
    assert who.of([(HEADER, "ben")], "10.0.0.1").roles == {Role.VIEWER}
    assert who.of([(HEADER, "ben")], "::ffff:10.0.0.1").name == "ben"
    assert who.of([(HEADER, "ben")], "127.0.0.1").proof == "host", "anybody on this host can say so"
    with pytest.raises(NotIdentifiedError, match="eve has no role here"):
        who.of([(HEADER, "eve")], "10.0.0.1")


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ([(HEADER, "anna")], "10.0.0.2"),
        ([(HEADER, "anna")], None),
        ([(HEADER, "anna")], "proxy.example"),
        ([(HEADER, "anna"), (HEADER, "anna")], "10.0.0.1"),
        ([(HEADER, "anna"), ("X-FORWARDED-USER", "eve")], "10.0.0.1"),
        ([("X_Forwarded_User", "anna")], "10.0.0.1"),
        ([(HEADER, "eve"), ("X-Forwarded_User", "anna")], "10.0.0.1"),
        ([(HEADER, "anna, eve")], "10.0.0.1"),
        ([(HEADER, "")], "10.0.0.1"),
        ([(HEADER, " anna")], "10.0.0.1"),
        ([(HEADER, "an\u200bna")], "10.0.0.1"),
        ([(HEADER, "anna\r\nx: y")], "10.0.0.1"),
        ([(HEADER, "a" * 65)], "10.0.0.1"),
    ],
)
def test_whoever_only_pretends_to_be_the_proxy_is_nobody(
    tmp_path: Path, headers: list[tuple[str, str]], peer: str | None
) -> None:
    token = People(tmp_path).add("anna", [Role.APPROVER])
    who = identity(tmp_path, proxy=PROXY)
    with pytest.raises(NotIdentifiedError):
        who.of(headers, peer)
    with pytest.raises(NotIdentifiedError):
        who.of([*headers, bearer(token)], peer)
    assert len(refused(tmp_path)) == 2
    assert identity(tmp_path).of([*headers, bearer(token)], peer).name == "anna", "without a proxy it means nothing"


def test_a_proxy_with_a_secret_must_show_it(tmp_path: Path) -> None:
    People(tmp_path).add("anna", [Role.APPROVER])
    who = identity(tmp_path, proxy=PROXY | {"secret": "s3cret"})
    secret = ("X-Proxy-Secret", "s3cret")
    assert who.of([(HEADER, "anna"), secret], "127.0.0.1").proof == "proxy"
    for wrong in ([], [("X-Proxy-Secret", "S3cret")], [secret, secret], [("X-Proxy-Secret", "\udc80")]):
        with pytest.raises(NotIdentifiedError, match="secret of the proxy"):
            who.of([(HEADER, "anna"), *wrong], "127.0.0.1")
    assert "s3cret" not in (tmp_path / "audit.jsonl").read_text()


def test_wrong_tokens_are_looked_at_ten_times_a_minute(tmp_path: Path) -> None:
    token, clock = People(tmp_path).add("anna", [Role.APPROVER]), Clock()
    who = identity(tmp_path, clock=clock)
    for _ in range(10):
        with pytest.raises(NotIdentifiedError, match="nobody's token"):
            who.of([bearer("wrong")], "10.0.0.9")
    for shown in ("wrong", token):
        with pytest.raises(NotIdentifiedError, match="wait a minute"):
            who.of([bearer(shown)], "10.0.0.9")
    assert len(refused(tmp_path)) == 10, "a flood does not fill the trail"
    assert who.of([bearer(token)], "10.0.0.8").name == "anna", "others are not held off"
    clock.now += 60
    assert who.of([bearer(token)], "10.0.0.9").name == "anna"


def test_who_has_no_role_behind_the_proxy_locks_out_nobody_else(tmp_path: Path) -> None:
    token = People(tmp_path).add("anna", [Role.APPROVER])
    who = identity(tmp_path, proxy=PROXY)
    for _ in range(10):
        with pytest.raises(NotIdentifiedError, match="no role here"):
            who.of([(HEADER, "eve")], "10.0.0.1")
        with pytest.raises(NotIdentifiedError, match="nobody's token"):
            who.of([bearer("wrong")], "10.0.0.1")
        with pytest.raises(NotIdentifiedError, match="no role here"):
            who.of([(HEADER, "eve")], "127.0.0.1")
    for shown, address in (((HEADER, "eve"), "10.0.0.1"), (bearer(token), "10.0.0.1"), ((HEADER, "anna"), "127.0.0.1")):
        with pytest.raises(NotIdentifiedError, match="wait a minute"):
            who.of([shown], address)
    assert who.of([(HEADER, "anna")], "10.0.0.1").name == "anna"


@pytest.mark.parametrize(
    "proxy",
    [
        {"header": "X-Forwarded-User"},
        {"header": "X-Forwarded-User", "addresses": []},
        {"header": "X-Forwarded-User", "addresses": ["proxy.example"]},
        {"header": "Authorization", "addresses": ["127.0.0.1"]},
        {"header": "X_User", "addresses": ["127.0.0.1"]},
        {"header": "X-User", "addresses": ["127.0.0.1"], "roles": {"anna": ["king"]}},
        {"header": "X-User", "addresses": ["127.0.0.1"], "roles": {"an na": ["admin"]}},
    ],
)
def test_a_proxy_that_could_not_be_trusted_is_no_configuration(proxy: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"access\.proxy"):
        config_from({"access": {"proxy": proxy}})


def test_changes_of_people_are_audited_or_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = People(tmp_path)
    people.add("anna", [Role.VIEWER])
    people.give("anna", [Role.ADMIN])
    people.renew("anna")
    records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_bytes().splitlines()]
    assert [record["kind"] for record in records] == ["person added", "roles given", "token renewed"]
    assert records[1]["roles"] == ["admin"]
    (tmp_path / "audit.jsonl").rename(tmp_path / "away")
    (tmp_path / "audit.jsonl").mkdir()
    from osprey_executor.errors import StorageError

    with pytest.raises(StorageError, match="audit trail"):
        people.remove("anna")
    assert [one.name for one in people.all()] == ["anna"]
    assert not list(tmp_path.glob(".people*"))
