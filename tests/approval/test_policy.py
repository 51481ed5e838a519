"""Every row of the table: who must be asked."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

import pytest

from osprey_executor.approval import Asking, Situation, must_ask
from osprey_executor.config import config_from
from osprey_executor.models import AnalysisReport, ControlSystemReport, IsolationReport, Verdict

ALLOW, ASK, DENY = Verdict.ALLOW, Verdict.ASK, Verdict.DENY


@dataclass(frozen=True)
class Row:
    mode: str
    proven: bool | None
    real: bool | None
    writes: bool | None
    verdict: Verdict | None
    ask: bool
    denied: bool = False


ROWS = [
    Row("all_code", None, None, None, ALLOW, ask=True),
    Row("all_code", None, None, None, ASK, ask=True),
    Row("control_writes", True, None, None, ALLOW, ask=False),
    Row("control_writes", True, None, None, ASK, ask=False),
    Row("control_writes", False, True, None, ALLOW, ask=True),
    Row("control_writes", False, True, None, ASK, ask=True),
    Row("control_writes", False, False, None, ALLOW, ask=False),
    Row("control_writes", False, False, None, ASK, ask=True),
    Row("disabled", None, None, None, ALLOW, ask=False),
    Row("disabled", None, None, None, ASK, ask=False),
    *(Row(mode, None, None, None, DENY, ask=False, denied=True) for mode in ("all_code", "control_writes", "disabled")),
]


def asking(mode: str, proven: bool, real: bool, writes: bool, verdict: Verdict) -> Asking:
    return must_ask(
        config_from({"approval": {"mode": mode}}),
        AnalysisReport(verdict=verdict, reason="because"),
        Situation(
            effects=frozenset(),
            channels=(),
            isolation=IsolationReport(level="full", proven=proven),
            control=ControlSystemReport(type="epics" if real else "mock", real=real, writes_enabled=writes),
            requester="anna",
            roles=frozenset(),
            now=datetime.now(UTC),
        ),
    )


CASES = list(product(("all_code", "control_writes", "disabled"), (True, False), (True, False), (True, False), Verdict))


@pytest.mark.parametrize(("mode", "proven", "real", "writes", "verdict"), CASES)
def test_the_table(mode: str, proven: bool, real: bool, writes: bool, verdict: Verdict):
    (row,) = [
        row
        for row in ROWS
        if row.mode == mode
        and row.verdict is verdict
        and row.proven in (None, proven)
        and row.real in (None, real)
        and row.writes in (None, writes)
    ]
    answer = asking(mode, proven, real, writes, verdict)
    assert (answer.ask, answer.denied) == (row.ask, row.denied)
    assert answer.reason


def test_the_card_says_that_containment_is_not_proven():
    assert "containment not proven" in asking("control_writes", False, True, True, ALLOW).reason
