"""Cards to decide about."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.approval import build_card
from osprey_executor.models import (
    ApprovalCard,
    ChannelStart,
    ControlSystemReport,
    IsolationReport,
    Limits,
    Plan,
    PlannedWrite,
    PythonExecutionRequest,
)

NOW = datetime(2026, 11, 23, 15, 12, tzinfo=UTC)
CODE = "import epics\nepics.caput('VA:HCM:01:SP', 0.2)\n"
MakeCard = Callable[..., ApprovalCard]


def planned(*writes: tuple[str, float], **changes: Any) -> Plan:
    """A plan that writes 0.0 over to these values, one after the other."""
    made = tuple(
        PlannedWrite(index=index, channel=channel, now="0.0", value=value, shown=str(value), delta=value, line=2)
        for index, (channel, value) in enumerate(writes, 1)
    )
    start = {channel: ChannelStart(value=0.0, shown="0.0", units="A", low=-5.0, high=5.0) for channel, _ in writes}
    return Plan(**({"writes": made, "start": start, "at": NOW} | changes))


PLAN = planned(("VA:HCM:01:SP", 0.2))


@pytest.fixture
def make_card() -> MakeCard:
    def make(code: str = CODE, **changes: Any) -> ApprovalCard:
        report = changes.pop("report", None) or analyze(code)
        parts: dict[str, Any] = {
            "run_id": "20261123-151200-3f9a",
            "request": PythonExecutionRequest(user_query="correct the orbit", requester="ada"),
            "code": code,
            "report": report,
            "reason": report.reason,
            "isolation": IsolationReport(level="full", proven=True),
            "control": ControlSystemReport(type="simulator", addresses=("127.0.0.1:5064",), writes_enabled=True),
            "engine_identity": {"python": "3.11.2", "packages": {"numpy": "2.4.6"}},
            "limits": Limits(),
            "inputs": {"orbit.csv": "ab" * 32},
            "generator": "mock (scripted)",
            "now": NOW,
            "expiry": 3600.0,
        }
        return build_card(**(parts | changes))

    return make
