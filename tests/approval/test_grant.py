"""A grant holds for exactly what was approved, and for nothing else."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.approval import approval_key, issue_grant, plan_digest, verify_grant
from osprey_executor.errors import StorageError, WriteRefused

from .conftest import PLAN

KEY = b"k" * 32


@pytest.fixture
def card(make_card: Any) -> Any:
    return make_card(plan=PLAN)


@pytest.fixture
def grant(card: Any) -> Any:
    return issue_grant(card, chosen=card.digest, approver="grace", key=KEY, now=card.created_at)


def verify(grant: Any, card: Any, **changes: Any) -> None:
    given: dict[str, Any] = {"key": KEY, "run_id": card.run_id, "digest": card.digest, "now": card.created_at}
    verify_grant(grant, **(given | changes))


def test_a_grant_is_valid_for_its_card(grant: Any, card: Any):
    verify(grant, card)
    assert (grant.plan, grant.envelope, grant.approver) == (plan_digest(PLAN), None, "grace")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": b"x" * 32}, "signature"),
        ({"run_id": "another"}, "for run"),
        ({"digest": "0" * 64}, "another digest"),
        ({"now": timedelta(hours=1)}, "expired"),
        ({"now": timedelta(days=900)}, "expired"),
    ],
)
def test_canary_any_other_use_is_refused(grant: Any, card: Any, changes: dict[str, Any], words: str):
    if "now" in changes:
        changes = {"now": card.created_at + changes["now"]}
    with pytest.raises(WriteRefused, match=words):
        verify(grant, card, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": "0" * 64},
        {"run_id": "another"},
        {"digest": "0" * 64},
        {"approver": "mallory"},
        {"expires_at": timedelta(days=9)},
        {"issued_at": timedelta(days=-9)},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "é"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_canary_a_changed_grant_is_refused(grant: Any, card: Any, changes: dict[str, Any]):
    given = {
        name: getattr(grant, name) + value if isinstance(value, timedelta) else value for name, value in changes.items()
    }
    with pytest.raises(WriteRefused):
        verify(grant.model_copy(update=given), card)


def test_a_grant_survives_json(grant: Any, card: Any):
    verify(type(grant).model_validate_json(grant.model_dump_json()), card)


def test_no_grant_for_an_expired_card(card: Any):
    with pytest.raises(WriteRefused, match="expired"):
        issue_grant(card, chosen=card.digest, approver="grace", key=KEY, now=card.expires_at)


def test_a_card_without_a_plan_grants_no_write(make_card: Any):
    card = make_card()
    with pytest.raises(WriteRefused, match="no plan"):
        issue_grant(card, chosen=card.digest, approver="grace", key=KEY, now=card.created_at)


def test_any_other_digest_is_no_choice(card: Any):
    with pytest.raises(WriteRefused, match="another digest"):
        issue_grant(card, chosen="0" * 64, approver="grace", key=KEY, now=card.created_at)


def test_the_envelope_is_a_choice_of_its_own(make_card: Any):
    card = make_card(plan=PLAN.model_copy(update={"feedback_dependent": True}))
    given = {"approver": "grace", "key": KEY, "now": card.created_at}
    assert issue_grant(card, chosen=card.digest, **given).envelope is None
    grant = issue_grant(card, chosen=card.envelope.digest, **given)
    assert grant.envelope == card.envelope
    verify(grant, card)
    wider = card.envelope.model_copy(update={"seconds": 1e6})
    with pytest.raises(WriteRefused, match="signature"):
        verify(grant.model_copy(update={"envelope": wider}), card)
    with pytest.raises(WriteRefused, match="changed since"):
        issue_grant(card.model_copy(update={"envelope": wider}), chosen=wider.digest, **given)


_MAKE = """
import sys
from pathlib import Path
from osprey_executor.approval import approval_key
print("ready", flush=True)
sys.stdin.readline()
print(approval_key(Path(sys.argv[1])).hex())
"""


def test_two_processes_agree_on_one_key(tmp_path: Path):
    home = tmp_path / "home"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0] for process in processes}
    assert len(keys) == 1
    (path,) = home.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().hex() == keys.pop().strip()


def test_the_key_stays(tmp_path: Path):
    assert approval_key(tmp_path) == approval_key(tmp_path)
    assert approval_key(tmp_path) != approval_key(tmp_path / "other")


def test_canary_a_key_that_others_may_read_is_refused(tmp_path: Path):
    approval_key(tmp_path)
    (tmp_path / "approval.key").chmod(0o644)
    with pytest.raises(StorageError, match="chmod 600"):
        approval_key(tmp_path)


def test_a_damaged_key_is_refused(tmp_path: Path):
    approval_key(tmp_path)
    (tmp_path / "approval.key").write_bytes(b"short")
    with pytest.raises(StorageError, match="damaged"):
        approval_key(tmp_path)


def test_a_link_in_place_of_the_key_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").write_bytes(b"x" * 32)
    (tmp_path / "approval.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        approval_key(tmp_path)
