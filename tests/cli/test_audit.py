"""`audit`: whole or not by exit code, what lies outside the claim, and records as they were written."""

from __future__ import annotations

import json
from pathlib import Path

from osprey_executor.audit import Trail

from .conftest import Cli


def test_verify_tells_whether_the_trail_is_whole_and_what_nobody_vouches_for(cli: Cli, home: Path) -> None:
    assert "Whole: 0 records" in cli("audit", "verify").out
    for name in ("anna", "ben"):
        Trail(home).record("decision", by=name)
    said = cli("audit", "verify")
    assert said.code == 0
    assert "Whole: 2 records" in said.out
    assert "outside the claim" in said.err
    assert cli("audit", "verify", "--json").document == {"records": 2, "claimed": 0, "outside": 2, "problems": []}
    trail = home / "audit.jsonl"
    trail.write_text(trail.read_text().replace("anna", "\\u001b[2Jeve"))
    said = cli("audit", "verify")
    assert said.code == 1
    assert "record 2 does not follow" in said.err
    assert "NOT WHOLE" in said.out
    assert cli("audit", "verify", "--json").code == 1


def test_export_prints_lines_as_they_were_written_or_one_document(cli: Cli, home: Path) -> None:
    for name in ("anna", "ben"):
        Trail(home).record("decision", by=name)
    said = cli("audit", "export", "--since", "2")
    assert said.out == (home / "audit.jsonl").read_text().splitlines(keepends=True)[1]
    assert [one["by"] for one in cli("audit", "export", "--json").document] == ["anna", "ben"]
    assert json.loads(said.out)["by"] == "ben"
    wrong = cli("audit", "export", "--since", "yesterday")
    assert wrong.code == 2
    assert "neither" in wrong.err


def test_remember_takes_a_time(cli: Cli) -> None:
    said = cli("approve", "20261123-151200-3f9a", "--digest", "ab" * 32, "--remember", "long")
    assert said.code == 2
    assert "30min or 8h" in said.err
