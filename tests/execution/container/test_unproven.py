"""A foreign server proves nothing: it says so on card and result, and next to a real machine it must be accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.execution.container.jupyter import Jupyter

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.errors import EngineUnavailableError
from osprey_executor.interfaces.cli.card import card_text
from osprey_executor.models import ApprovalCard, Approve, Decision, RunStatus

OpenService = Callable[..., PythonExecutorService]
REAL = {"type": "epics", "epics": {"address_list": ["127.0.0.1:1"]}}


@pytest.fixture
def service(gateway: Jupyter, home: Path) -> OpenService:
    def opened(control: dict[str, Any], **container: Any) -> PythonExecutorService:
        config = {"execution": {**gateway.config(**container), "timeout": 60}, "control_system": control}
        return PythonExecutorService.from_config(config, home=home)

    return opened


def own(code: str) -> PythonExecutionRequest:
    return PythonExecutionRequest(user_query="own code", code=code)


async def test_a_result_says_that_nothing_is_proven(service: OpenService) -> None:
    code = "from osprey_executor import runtime\nresults = {'a': runtime.read_channel('MAG:1:SP')}"
    async with service({"type": "mock"}) as opened:
        result = await opened.run(own(code))
    assert result.status is RunStatus.SUCCEEDED, result.error
    assert isinstance(result.results["a"], float)
    assert str(result.isolation) == "none (container, containment not proven)"


async def test_a_write_shows_its_plan_and_a_card_that_warns(service: OpenService) -> None:
    shown: list[ApprovalCard] = []

    async def decide(card: ApprovalCard) -> Decision:
        shown.append(card)
        return Approve(card.digest)

    code = "from osprey_executor import runtime\nruntime.write_channel('MAG:1:SP', 1.5)\nresults = {}"
    async with service({"type": "mock", "writes_enabled": True}) as opened:
        result = await opened.run(own(code), decide=decide, approver="ada")
    assert result.status is RunStatus.SUCCEEDED, result.error
    assert [(write.channel, write.value, write.confirmed) for write in result.writes] == [("MAG:1:SP", "1.5", True)]
    assert "Containment is not proven" in card_text(shown[0])


async def test_next_to_a_real_machine_it_is_refused(service: OpenService, gateway: Jupyter) -> None:
    before = gateway.kernels()
    async with service(REAL) as opened:
        with pytest.raises(EngineUnavailableError, match=r"accept_unproven: true"):
            await opened.run(own("results = {'a': 1}"))
        assert await opened.runs() == []
    assert gateway.kernels() == before


async def test_where_it_is_accepted_a_person_is_asked_before_the_first_run(service: OpenService) -> None:
    async with service(REAL, accept_unproven=True) as opened:
        result = await opened.run(own("open('ran', 'w').close()\nresults = {'a': 1}"))
    assert result.status is RunStatus.AWAITING_APPROVAL
    assert result.artifacts == ()


async def test_doctor_says_it_too(service: OpenService) -> None:
    async with service({"type": "mock"}) as opened:
        seen = {probe.name: probe for probe in await opened.doctor()}
    assert seen["run in a kernel of the Jupyter server"].outcome == "ok"
    assert seen["containment"].outcome == "failed"
    assert "accept_unproven" in seen["containment"].detail
    # The server of this test is an ordinary process: what is well known to be wrong with it is named.
    assert "/ is mounted writable from the host" in seen["containment"].detail


POWER = """
with open("/proc/self/status") as file:
    told = dict(line.split(":", 1) for line in file)
results = {name: told[name].strip() for name in ("NoNewPrivs", "CapEff", "CapPrm", "CapBnd")}
"""


async def test_a_program_keeps_no_power_of_its_kernel(service: OpenService) -> None:
    """The canary of `unwalled.py`: the kernel here runs as root, with all its capabilities."""
    async with service({"type": "mock"}) as opened:
        result = await opened.run(own(POWER))
    assert result.status is RunStatus.SUCCEEDED, result.error
    nothing = "0" * 16
    effective, permitted = result.results["CapEff"], result.results["CapPrm"]
    assert (result.results["NoNewPrivs"], effective, permitted) == ("1", nothing, nothing)
    assert result.results["CapBnd"] == nothing or os.geteuid() != 0
