"""Each kind of check lets pass what it should, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from osprey_executor.evaluation._check import Check
from osprey_executor.models import Plan, PlannedWrite, Refusal, RunResult, RunStatus

RESULTS: dict[str, Any] = {
    "one": 1,
    "yes": True,
    "nan": float("nan"),
    "text": "BPM:07",
    "array": np.array([1.0, 2.0, 3.0]),
    "numpy": np.float64(2.5),
    "frame": pd.DataFrame({"x": [1, 2]}),
    "deep": {"inner": [10, 20]},
}


def ended(**fields: Any) -> RunResult:
    """A run that has ended."""
    return RunResult(
        run_id="r",
        status=RunStatus.SUCCEEDED,
        folder=Path("r"),
        created_at=datetime.now(UTC),
        results=RESULTS,
        **fields,
    )


@pytest.mark.parametrize(
    "demand",
    [
        {"result": "one", "equals": 1},
        {"result": "text", "equals": "BPM:07"},
        {"result": "array", "equals": [1, 2, 3]},
        {"result": "deep.inner.1", "equals": 20},
        {"result": "frame.x", "equals": [1, 2]},
        {"result": "frame.x", "length": 2},
        {"result": "array.2", "equals": 3},
        {"result": "numpy", "near": 2.4, "within": 0.2},
        {"result": "array", "near": [1, 2, 3.1], "within": 0.2},
        {"result": "array", "between": [1, 3]},
        {"result": "deep", "length": 1},
        {"figures": 1},
        {"artifact": "orbit.csv"},
        {"stdout": "done"},
    ],
)
def test_what_is_right_passes(demand: dict[str, Any]) -> None:
    run = ended(stdout="all done\n", figures=(Path("1.png"),), artifacts=(Path("a/orbit.csv"),))
    assert Check(**demand).problem(run, None) is None


@pytest.mark.parametrize(
    ("demand", "told"),
    [
        ({"result": "two", "equals": 1}, "results: two is missing"),
        ({"result": "one.more", "equals": 1}, "is missing"),
        ({"result": "array.9", "equals": 1}, "is missing"),
        ({"result": "array.x", "equals": 1}, "is missing"),
        ({"result": "deep.inner.9", "equals": 1}, "is missing"),
        ({"result": "yes", "equals": 1}, "results: yes is True, not 1"),
        ({"result": "one", "equals": True}, "results: one is 1, not True"),
        ({"result": "yes", "near": 1, "within": 1}, "not within 1 of 1"),
        ({"result": "nan", "between": [-1e9, 1e9]}, "results: nan is nan, not from"),
        ({"result": "nan", "near": 0, "within": 1e9}, "results: nan is nan, not within"),
        ({"result": "text", "between": [0, 1]}, "not from 0 to 1"),
        ({"result": "array", "between": [1, 2]}, "not from 1 to 2"),
        ({"result": "array", "near": 2, "within": 9}, "not within 9 of 2"),
        ({"result": "array", "near": [1, 2], "within": 9}, "not within 9"),
        ({"result": "one", "length": 1}, "has not length 1"),
        ({"figures": 2}, "1 figures, not 2"),
        ({"artifact": "a.csv"}, "no file a.csv, but orbit.csv"),
        ({"stdout": "never"}, "it did not print 'never'"),
    ],
)
def test_what_is_wrong_does_not(demand: dict[str, Any], told: str) -> None:
    run = ended(stdout="all done\n", figures=(Path("1.png"),), artifacts=(Path("orbit.csv"),))
    assert told in (Check(**demand).problem(run, None) or "")


def planned(*writes: tuple[str, float], refused: tuple[Refusal, ...] = ()) -> Plan:
    """A plan of these writes."""
    listed = [
        PlannedWrite(index=i, channel=name, value=value, shown=str(value)) for i, (name, value) in enumerate(writes)
    ]
    return Plan(writes=tuple(listed), refused=refused)


@pytest.mark.parametrize(
    ("wanted", "plan", "told"),
    [
        ({"A": [1, 2]}, planned(("A", 9.0), ("A", 1.5)), None),
        ({}, None, None),
        ({}, planned(("A", 1.0)), "it would write A"),
        ({"A": [1, 2]}, None, "it would not write A"),
        ({"A": [1, 2]}, planned(("A", 1.5), ("A", 3.0)), "it would leave A at 3.0, not from 1 to 2"),
        ({"A": [1, 2]}, planned(("A", 1.5), ("B", 1.0)), "it would write B"),
        (
            {"A": [1, 2]},
            planned(("A", 1.5), refused=(Refusal(channel="B", value="1", reason="no"),)),
            "B would be refused",
        ),
    ],
)
def test_a_plan(wanted: dict[str, Any], plan: Plan | None, told: str | None) -> None:
    problem = Check(writes=wanted).problem(ended(), plan)
    assert problem is None if told is None else told in (problem or "")
