"""What a journal says of a run is compared with the machine as it is: only what the run left there is brought back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.control import MockConnector, restoring_of
from osprey_executor.models import ControlSystemReport

INTENDED = {"event": "intended", "write": 1, "channel": "A", "value": "5.0", "before": 1.0}
CONFIRMED = {"event": "confirmed", "write": 1, "channel": "A", "value": "5.0", "left": 5.0}
LOST = {"event": "unknown", "write": 1, "channel": "A", "value": "5.0"}


def settled(outcome: str, seen: str) -> dict[str, Any]:
    return {"event": "settled", "channel": "A", "value": "5.0", "outcome": outcome, "seen": seen, "by": "ada"}


@pytest.mark.parametrize(
    ("entries", "present", "back", "reason"),
    [
        ([INTENDED, CONFIRMED], 5.0, 1.0, None),
        ([INTENDED, CONFIRMED], 4.0, None, "somebody else has changed it since"),
        ([INTENDED, CONFIRMED], 1.0, None, None),
        ([INTENDED, LOST], 5.0, None, "nobody can say what the run left there"),
        ([INTENDED], 5.0, None, "nobody can say what the run left there"),
        ([INTENDED, LOST, settled("written", "5.0")], 5.0, 1.0, None),
        ([INTENDED, LOST, settled("written", "5.0")], 4.0, None, "somebody else has changed it since"),
        ([INTENDED, LOST, settled("not_written", "1.0")], 1.0, None, None),
        ([INTENDED, LOST, settled("unknown", "3.0")], 3.0, None, "nobody can say what the run left there"),
        ([{**INTENDED, "event": "refused"}], 5.0, None, None),
        ([INTENDED, {**INTENDED, "event": "not_sent"}], 5.0, None, None),
        ([{**INTENDED, "before": None}, CONFIRMED], 5.0, None, "what it held before is not in the journal as a value"),
    ],
)
async def test_what_a_journal_allows(
    tmp_path: Path, entries: list[dict[str, Any]], present: float, back: float | None, reason: str | None
) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + "{cut short by a ki")
    restoring = await restoring_of("r1", journal, MockConnector({"A": present}), ControlSystemReport(), None)
    assert [one.before for one in restoring.channels] == ([] if back is None else [back])
    assert [one.reason for one in restoring.left] == ([] if reason is None else [reason])


async def test_of_a_real_machine_nothing_is_brought_back_without_a_database(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in (INTENDED, CONFIRMED)))
    real = ControlSystemReport(type="epics", real=True)
    restoring = await restoring_of("r1", journal, MockConnector({"A": 5.0}), real, None)
    assert (restoring.channels, len(restoring.left)) == ((), 1)
