"""The benchmarks run, judge goals rightly, and say what they could not measure."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of the benchmarks, which are programs and no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_doors_answer_with_their_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    import _doors  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(_doors, "RUNS", 1000)
    monkeypatch.setattr(_doors, "WAITING", 250)
    lines = _doors.doors(1)
    assert {(line.unit, line.goal) for line in lines} == {("ms", 100.0), ("x", 1.1)}
    assert all(line.value for line in lines)


def test_topics_of_the_engine_are_measured_with_their_goals() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench.py"), "--rounds", "1", "--only", "engine,figure,concurrent"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = re.search(r"^written to (.+)$", done.stdout, re.MULTILINE)
    assert written
    file = Path(written[1])
    found: list[dict[str, Any]] = json.loads(file.read_text())["lines"]
    file.unlink()
    goals = {(line["topic"], line["unit"], line["goal"]) for line in found if line["goal"] is not None}
    assert goals == {
        *(("engine", "x", 0.5), ("engine", "x", 1.5), ("figure", "x", 0.15)),
        *(("concurrent", "s", 1.5), ("concurrent", "ms", 50.0)),
    }
    assert all(line["value"] > 0 for line in found)
    assert len(re.findall(r" (?:met|NOT MET)\b", done.stdout)) == len(goals)
    others = (
        "import, help, install, throughput, request, analysis, reads, gateways, writes, rehearsal, generators, claude, "
        "container, doors, memory"
    )
    assert f"not measured this time: {others}" in done.stdout


def test_reads_are_measured_with_their_goals() -> None:
    from _reads import reads

    lines = reads(1)
    assert {(line.unit, line.goal) for line in lines if line.goal is not None} == {("x", 1.3), ("x", 2.5)}
    assert all(line.value and line.value > 0 for line in lines)


def test_gateways_are_measured_against_the_same_programs_by_themselves() -> None:
    from _gateways import gateways

    lines = gateways(1)
    assert all(line.value and line.value > 0 for line in lines)
    ways = {(line.topic.partition(", ")[2], line.what.split(", ")[1]) for line in lines}
    reads = ("first read", "one channel", "1000 new channels", "1000 known channels")
    gets = {(what, way) for what in reads for way in ("direct", "CA gateway", "PVA gateway")}
    assert ways == gets | {("monitors", "direct"), ("monitors", "CA gateway")}


def test_writes_are_measured_against_those_of_the_library() -> None:
    from _writes import DIRECT, writes

    lines = writes(1)
    assert all(line.value and line.value > 0 for line in lines)
    ours = {"write_channel, approved", "the same caput by the CA gateway, approved"}
    assert {line.what for line in lines if line.unit == "ms"} == {DIRECT, *ours}


def test_what_claude_code_adds_is_measured_with_its_goal() -> None:
    from _claude import claude

    base, ours, added, _ = claude(1)
    assert base.value
    assert ours.value
    assert (added.unit, added.goal) == ("ms", 100.0)


def test_what_rehearsal_adds_is_measured() -> None:
    from _rehearsal import rehearsal

    lines = rehearsal(1)
    assert all(line.value and line.value > 0 for line in lines)
    assert {line.topic for line in lines} == {"rehearsal, one write", "rehearsal, no write"}


def test_what_basic_adds_to_its_provider_is_measured_with_its_goal() -> None:
    from _generators import generators

    lines = generators(1)
    assert all(line.value is not None for line in lines)
    judged = {line.what: (line.unit, line.goal) for line in lines if line.goal is not None}
    assert judged == {f"{name}: basic beyond the provider's answer": ("ms", 30.0) for name in ("anthropic", "openai")}


def test_a_program_by_itself_that_fails_ends_the_measurement() -> None:
    from _plainly import results_of

    assert results_of("results = {'one': 1.5}", {}) == {"one": 1.5}
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        results_of("1 / 0", {})


def test_a_run_that_fails_ends_the_measurement() -> None:
    from _live import opened, run

    from osprey_executor.execution import open_engine

    with (
        pytest.raises(RuntimeError, match="the program failed: ZeroDivisionError"),
        opened(open_engine("local", {"isolation": "none"})) as (loop, engine),
    ):
        loop.subject(lambda: run(engine, "1 / 0"))()


def test_an_engine_that_does_not_open_is_told() -> None:
    from _live import opened

    from osprey_executor.errors import EngineUnavailableError
    from osprey_executor.execution import open_engine

    with pytest.raises(EngineUnavailableError), opened(open_engine("container", {"container": {"jupyter_port": 1}})):
        raise AssertionError("opened")


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [(0.5, False, "met"), (0.51, False, "NOT MET"), (0.5, True, "met"), (0.49, True, "NOT MET"), (None, False, "")],
)
def test_goals_are_judged(value: float | None, at_least: bool, verdict: str) -> None:
    from _report import Line, table

    row = table([Line("topic", "what", value, "x", 0.5, at_least)]).splitlines()[1]
    assert row.endswith(f"{'>=' if at_least else '<='} 0.5 x  {verdict}".rstrip())
    assert ("not measured" in row) == (value is None)


def test_shares_of_the_tries() -> None:
    from _measure import Cost, percentile

    costs = [Cost(float(number), 0.0) for number in range(200, 0, -1)]
    assert percentile(costs, "wall", 0.5) == 100.5
    assert percentile(costs, "wall", 0.99) == 198
    assert percentile(costs[:1], "wall", 0.99) == 200


def test_sandboxes_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from _sandboxes import sandboxes

    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho refused by the kernel >&2\nexit 1\n")
    program.chmod(0o755)
    assert sandboxes(tmp_path / "code.py") == (
        {},
        {"bubblewrap": "does not work here: refused by the kernel", "podman": "the program podman is not installed"},
    )


def test_a_peer_that_cannot_be_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from _measure import NotMeasured
    from _osprey import footprint, osprey

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with (
        pytest.raises(NotMeasured, match=r"could not be installed: ERROR: .*osprey-framework==0\.9\.10"),
        osprey(tmp_path / "venv", tmp_path, "results = {'total': 1}\n"),
    ):
        raise AssertionError("installed")
    assert footprint(tmp_path / "venv") == []


def test_a_peer_whose_service_does_not_run_is_told(tmp_path: Path) -> None:
    from _measure import NotMeasured
    from _osprey import REQUIREMENTS, osprey

    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "venv" / ".installed").write_text("\n".join([*REQUIREMENTS, sys.version]))
    with (
        pytest.raises(NotMeasured, match="its service does not run: ModuleNotFoundError: No module named 'osprey'"),
        osprey(tmp_path / "venv", tmp_path, "results = {'total': 1}\n"),
    ):
        raise AssertionError("runs")
