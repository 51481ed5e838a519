"""A network that the configuration opens: containment is not proven, so a person is asked and sees the list."""

from __future__ import annotations

from osprey_executor import Approve, RunStatus
from osprey_executor.interfaces.cli.card import card_text
from osprey_executor.models import ApprovalCard, Decision

from .conftest import OpenService, own

CODE = """
import socket
try: socket.create_connection(("10.0.0.6", 5064))
except OSError: results = {"reached": False}
"""
NETWORK = ("archiver.lab.test:80", "10.0.0.5:5432")


async def test_a_person_is_asked_and_sees_the_list(open_service: OpenService) -> None:
    shown: list[ApprovalCard] = []

    async def decide(card: ApprovalCard) -> Decision:
        shown.append(card)
        return Approve(card.digest)

    async with open_service(execution__network=list(NETWORK), control_system__writes_enabled=False) as service:
        result = await service.run(own(CODE), decide=decide, approver="ada")
        assert result.status is RunStatus.SUCCEEDED
        assert result.results == {"reached": False}
        [card] = shown
        assert not card.isolation.proven
        assert card.isolation.network == result.isolation.network == NETWORK
        assert result.approver == "ada"
        kept = await service.result(result.run_id)
        assert kept.isolation.network == NETWORK
    text = " ".join(card_text(card).split())
    for endpoint in NETWORK:
        assert f"open to {endpoint}" in text
    assert "Containment is not proven: the code may reach archiver.lab.test:80, 10.0.0.5:5432" in text


async def test_nobody_is_asked_where_nothing_is_open(open_service: OpenService) -> None:
    async with open_service(control_system__writes_enabled=False) as service:
        result = await service.run(own(CODE))
    assert result.status is RunStatus.SUCCEEDED
    assert result.isolation.proven
    assert result.approver is None
