"""`analyze`: the real analysis, printed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    file = tmp_path / "writer.py"
    file.write_text("from osprey_executor import runtime\nruntime.write_channel('SR:HCM:01:SP', 1)\n")
    return file


def test_findings_have_their_place(cli: Cli, writer: Path) -> None:
    said = cli("analyze", str(writer))
    assert said.code == 0
    assert f"{writer}:2:" in said.out
    assert "control write" in said.out
    assert "asks a person first" in said.out


def test_json_has_one_entry_a_file(cli: Cli, writer: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.py"
    plain.write_text("results = {}\n")
    said = cli("analyze", str(writer), str(plain), "--format", "json")
    assert [(Path(one["file"]).name, one["verdict"]) for one in said.document] == [
        ("writer.py", "ask"),
        ("plain.py", "allow"),
    ]


def test_what_does_not_parse_is_code_one(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("def f(:\n")
    said = cli("analyze", str(file))
    assert said.code == 1
    assert f"{file}:1:" in said.out
    assert said.out.endswith("cannot run: does not parse\n")
    assert "without asking" not in said.out


def test_a_byte_order_mark_parses(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bom.py"
    file.write_bytes(b"\xef\xbb\xbfresults = {}\n")
    assert cli("analyze", str(file)).code == 0


def test_nothing_in_the_source_repaints_the_terminal(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "hostile.py"
    file.write_text("import os\nos.system('\x1b[2J\u202e')\n")
    said = cli("analyze", str(file))
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out


def test_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"import os; os.system('reboot')\n")))
    said = cli("analyze", "-")
    assert said.code == 0
    assert "process" in said.out


def test_explained(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "aliased.py"
    file.write_text("from epics import caput\n\nf = caput\nf('A:SP', 1)\n")
    said = cli("analyze", "--explain", str(file))
    for words in (
        "control write, certain",
        "    4 | f('A:SP', 1)",
        "      | ^^^^^^^^^^^^",
        "way: caput at line 1 -> f at line 3 -> call at line 4",
        "rule: A function that writes channels is handed on",
        f"{file}:4: would write A:SP = 1",
    ):
        assert words in said.out, said.out


def test_the_way_and_the_confidence_are_in_the_json(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "aliased.py"
    file.write_text("from epics import caput\nf = caput\nf('A:SP', 1)\n")
    (one,) = cli("analyze", str(file), "--format", "json").document
    (call,) = [found for found in one["findings"] if found["rule"] == "control/epics-caput"]
    assert [step["line"] for step in call["way"]] == [1, 2, 3]
    assert (call["confidence"], call["kind"], call["end_column"]) == ("certain", "security", 13)


def test_what_the_configuration_denies_is_refused(cli: Cli, tmp_path: Path) -> None:
    config, file = tmp_path / "config.yml", tmp_path / "starts.py"
    config.write_text("analysis:\n  deny: [process]\n")
    file.write_text("import os\nos.system('ls')\n")
    said = cli("analyze", str(file), "--config", str(config))
    assert said.code == 4
    assert "the site's policy denies process" in said.out


def test_a_policy_that_denies_nothing_is_an_error(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("analysis:\n  deny: [proces]\n")
    said = cli("config", "check", "--config", str(config))
    assert said.code == 2
    assert "did you mean process?" in said.out


def test_quality_is_told_where_it_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "flawed.py"
    file.write_text("print(undefined)\n")
    assert "quality/" not in cli("analyze", str(file)).out
    assert "undefined name 'undefined' [quality/name]" in cli("analyze", str(file), "--quality").out
