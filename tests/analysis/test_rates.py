"""What the analysis sees in programs of the kinds that it is for, and that the catalogue is what makes it see."""

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import Site, analyze
from osprey_executor.analysis.catalogue import empty_catalogue
from osprey_executor.models import Effect, Verdict

PROGRAMS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "programs.jsonl").read_text("utf-8").splitlines()
]


def rate(kind: str, site: Site | None = None) -> float:
    reports = [analyze(row["code"], site=site) for row in PROGRAMS if row["kind"] == kind]
    return sum(report.verdict is not Verdict.ALLOW for report in reports) / len(reports)


def check_rates(site: Site | None = None) -> None:
    assert rate("honest", site) >= 0.98
    assert rate("evasion", site) >= 0.95
    assert rate("harmless", site) <= 0.02


def test_rates():
    check_rates()


def test_canary_an_empty_catalogue_fails_the_rates():
    with pytest.raises(AssertionError):
        check_rates(Site(catalogue=empty_catalogue()))


@pytest.mark.parametrize("row", [row for row in PROGRAMS if row["kind"] == "harmless"], ids=lambda row: row["id"])
def test_harmless_programs_have_no_write_target(row: dict[str, Any]):
    report = analyze(row["code"])
    assert not report.writes
    assert Effect.CONTROL_WRITE not in report.effects


@pytest.mark.parametrize("row", [row for row in PROGRAMS if row.get("channels")], ids=lambda row: row["id"])
def test_channels_are_named(row: dict[str, Any]):
    assert {target.channel for target in analyze(row["code"]).writes} == set(row["channels"])


@pytest.mark.parametrize("row", [row for row in PROGRAMS if row["must_flag"]], ids=lambda row: row["id"])
def test_whatever_asks_says_where_and_why(row: dict[str, Any]):
    report = analyze(row["code"])
    lines = row["code"].count("\n") + 1
    assert report.reason
    assert report.findings
    assert all(1 <= one.line <= lines and one.column >= 1 and one.message for one in report.findings)
    assert report.effects & {Effect.CONTROL_WRITE, Effect.OPAQUE, Effect.DYNAMIC_CODE}


def test_the_corpus_is_large_and_has_every_kind():
    kinds = [row["kind"] for row in PROGRAMS]
    assert len(PROGRAMS) >= 300
    assert min(kinds.count(kind) for kind in ("honest", "evasion", "harmless")) >= 90
