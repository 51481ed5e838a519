"""What a card shows: each channel that is written by its whole name, and what it gets; nothing for a mere question."""

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.models import Verdict

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "aims.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"].splitlines()[-1][:40])
def test_channels_and_their_values(row: dict[str, Any]):
    report = analyze(row["code"])
    assert sorted([one.channel, one.value] for one in report.writes) == sorted(row["written"])
    assert report.verdict is (Verdict.ASK if row["written"] else Verdict.ALLOW)
