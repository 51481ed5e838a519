"""`doctor` says whether programs could speak with channels themselves, and what is missing if not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from osprey_executor.control.gateways import _kinds

from .conftest import OpenService


async def gateways_seen(open_service: OpenService, **changes: object) -> dict[str, tuple[str, str]]:
    async with open_service(**changes) as service:
        return {one.name: (one.outcome, one.detail) for one in await service.doctor() if one.name.endswith("gateway")}


async def test_both_answer_from_their_jails(open_service: OpenService) -> None:
    seen = await gateways_seen(open_service)
    assert {name: outcome for name, (outcome, _) in seen.items()} == {
        "Channel Access gateway": "ok",
        "PVAccess gateway": "ok",
    }
    assert await gateways_seen(open_service, control_system__gateways=False) == {}


async def test_what_a_gateway_lacks_is_told(open_service: OpenService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kinds, "_ALL", replace(_kinds._ALL, module="p4p_that_is_not_there"))
    seen = await gateways_seen(open_service)
    assert [outcome for outcome, _ in seen.values()] == ["unavailable", "unavailable"]
    for title in ("Channel Access", "PVAccess"):
        told = seen[f"{title} gateway"][1]
        assert told.startswith(f"programs that speak {title} themselves find no channel: ")
        assert "p4p_that_is_not_there" in told
