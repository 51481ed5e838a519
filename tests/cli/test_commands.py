"""Every command without a terminal: what goes where, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.models import RunResult

from .conftest import Cli
from .fake_service import DIGEST, RUN, FakeService, success

COMMANDS = (
    *("run", "approve", "edit", "reject", "pending", "runs", "show", "watch", "cancel", "replay", "analyze", "settle"),
    *("doctor", "config", "demo", "simulator"),
)


def test_a_run_shows_progress_on_one_stream_and_its_result_on_the_other(cli: Cli) -> None:
    said = cli("run", "ok")
    assert said.code == 0
    assert "Succeeded" in said.out
    assert "rms_x_before_um" in said.out
    assert "written: 3 writes to 1 channel, confirmed" in said.out
    assert str(Path(RUN) / "notebook.ipynb") in said.out
    assert "running in the sandbox" in said.err
    assert "16 correctors" in said.err
    assert "\x1b" not in said.out + said.err
    assert "done\\x1b[2J" in said.out


def test_json_is_one_object_and_all_else_is_elsewhere(cli: Cli) -> None:
    said = cli("run", "ok", "--json")
    assert said.code == 0
    assert set(RunResult.model_fields) <= set(said.document)
    assert said.document["status"] == "succeeded"
    assert said.document["generator"] == "mock (scripted)"
    assert "running in the sandbox" in said.err


def test_a_failure_shows_the_line_that_failed(cli: Cli) -> None:
    said = cli("run", "fail")
    assert said.code == 1
    assert "ZeroDivisionError: division by zero" in said.out
    assert "line 2: 1 / 0" in said.out


def test_a_failed_attempt_is_told_as_it_happens(cli: Cli) -> None:
    said = cli("run", "retry")
    assert said.code == 0
    assert "attempt 1 failed: ZeroDivisionError" in said.err
    assert "generating code, attempt 2" in said.err


def test_without_a_terminal_nothing_is_asked_and_the_commands_are_told(cli: Cli) -> None:
    said = cli("run", "write")
    assert said.code == 3
    assert "Waiting for approval" in said.out
    assert f"osprey-executor show {RUN}" in said.err
    assert f"osprey-executor approve {RUN} --digest {DIGEST}" in said.err
    assert f"osprey-executor edit {RUN} --code FILE" in said.err
    assert "Approved now, it would write nothing: writes are stopped by \\x1b[31mann" in said.err
    assert cli("run", "write", "--json").document["in_the_way"] == ["writes are stopped by \x1b[31mann"]


def test_code_is_run_under_a_task_of_its_own(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "measure.py"
    file.write_text("x = 1")
    assert cli("run", "--code", str(file)).code == 0
    assert cli("run", "fail", "--code", str(file)).code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run"], "nothing to do"),
        (["run", "  "], "the task is empty"),
        (["run", "--code", "/nonexistent.py"], "cannot read /nonexistent.py"),
        (["run", "ok", "--input", "/nonexistent.csv"], "cannot read /nonexistent.csv"),
        (["run", "mean.py"], "did you mean --code mean.py?"),
        (["run", "/dev/../etc/hosts"], "did you mean --code /dev/../etc/hosts?"),
        (["run", "--code"], "requires an argument"),
        (["run", "--yes", "ok"], "No such option"),
        (["run", "--timeout", "3", "ok"], "No such option"),
        (["bogus"], "No such command"),
        (["runs", "--limit", "none"], "Invalid value"),
        (["show", "zz"], "there is no run zz"),
        (["approve", RUN], f"osprey-executor approve {RUN} --digest {DIGEST}"),
        (["approve", RUN, "--digest", "no"], "64 hexadecimal digits"),
        (["approve", RUN, "--digest", "cd" * 32], "not that of the card"),
        (["edit", RUN], "give the new code with --code FILE"),
        (["analyze", "/nonexistent.py"], "cannot read /nonexistent.py"),
    ],
)
def test_bad_usage_is_one_sentence_and_code_two(cli: Cli, arguments: list[str], told: str) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert told in said.err
    assert said.err.strip().splitlines()[-1].startswith("osprey-executor: ")
    assert said.out == ""


def test_errors_are_json_too(cli: Cli) -> None:
    said = cli("run", "--json")
    assert said.code == 2
    assert said.document["error"]["type"] == "InvalidRequestError"
    assert said.document["status"] == "usage"
    assert cli("run", "--bogus", "--json").document["status"] == "usage"
    assert cli("show", "zz", "--json").document["error"]["type"] == "RunNotFoundError"


def test_a_bug_is_one_sentence_and_its_details_are_kept(cli: Cli, home: Path) -> None:
    said = cli("run", "broken")
    assert said.code == 1
    assert "this should not have happened: ZeroDivisionError: a bug of ours" in said.err
    (log,) = (home / "logs").iterdir()
    assert str(log) in said.err
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_lists(cli: Cli) -> None:
    said = cli("runs")
    assert said.code == 0
    assert "waiting for approval" in said.out
    assert "\x1b" not in said.out
    assert len(cli("runs", "--json", "--limit", "3").document) == 3
    assert "virtual" in cli("pending").out
    [told] = cli("pending", "--json").document
    assert told["digest"] == DIGEST
    assert told["in_the_way"] == ["writes are stopped by \x1b[31mann"]


def test_doctor(cli: Cli, tmp_path: Path) -> None:
    said = cli("doctor")
    assert said.code == 0
    assert "Network is unreachable" in said.out
    config = tmp_path / "config.yml"
    config.write_text("approval: {mode: all_code}")
    said = cli("doctor", "--config", str(config), "--json")
    assert said.code == 6
    assert [probe["outcome"] for probe in said.document][-1] == "failed"


def test_show(cli: Cli) -> None:
    said = cli("show", RUN[:6])
    assert said.code == 0
    assert "SR:HCM:01:SP" in said.out
    assert cli("show", RUN, "--json").document["status"] == "awaiting_approval"


def test_decisions_of_scripts(cli: Cli, tmp_path: Path) -> None:
    said = cli("approve", RUN, "--digest", DIGEST, "--json")
    assert (said.code, said.document["status"]) == (0, "succeeded")
    assert "SR:HCM:01:SP" in said.err
    said = cli("reject", RUN, "--reason", "too strong")
    assert said.code == 0
    assert "too strong" in said.out
    file = tmp_path / "new.py"
    file.write_text("x = 1")
    said = cli("edit", RUN, "--code", str(file), "--json")
    assert (said.code, said.document["code"]) == (3, "x = 1")


def test_cancel_watch_and_replay(cli: Cli) -> None:
    assert cli("cancel", RUN).code == 0
    said = cli("watch", RUN)
    assert (said.code, "16 correctors" in said.err) == (0, True)
    said = cli("replay", RUN, "--json")
    assert (said.code, said.document["results"]) == (0, {"x": 1})


def test_cancelling_what_has_ended_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "already ended" not in cli("cancel", RUN).err

    async def ended(_: FakeService, run_id: str) -> RunResult:
        return success()

    monkeypatch.setattr(FakeService, "result", ended)
    monkeypatch.setattr(FakeService, "cancel", ended)
    said = cli("cancel", RUN)
    assert said.code == 0
    assert f"{RUN} had already ended (succeeded)" in said.err


@pytest.mark.parametrize("wrong", ["What I READ", "cd" * 32])
def test_a_wrong_digest_is_quoted_as_it_was_given_and_shows_no_card(cli: Cli, wrong: str) -> None:
    said = cli("approve", RUN, "--digest", wrong)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "What I READ" in said.err or wrong != "What I READ"
    assert cli("approve", RUN, "--digest", f" {DIGEST.upper()}").code == 0


def test_own_code_is_not_said_to_be_generated(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("x = 1")
    assert "generating" not in cli("run", "--code", str(file)).err
    assert "generating" in cli("run", "ok").err


def test_lines_for_a_pipe_end_where_their_text_ends(cli: Cli) -> None:
    for arguments in (["run", "ok"], ["runs"], ["show", RUN], ["pending"], ["doctor"], ["run", "write"]):
        said = cli(*arguments)
        assert not [line for line in (said.out + said.err).splitlines() if line != line.rstrip()]


@pytest.mark.parametrize(
    ("arguments", "whose"),
    [
        (["run", "--bogus"], "osprey-executor run --help"),
        (["config", "init", "--bogus"], "osprey-executor config init --help"),
        (["bogus"], "osprey-executor --help"),
    ],
)
def test_an_error_points_to_the_help_of_its_own_command(cli: Cli, arguments: list[str], whose: str) -> None:
    assert cli(*arguments).err.strip().endswith(f"(see {whose})")


def test_paragraphs_of_help_break_where_the_terminal_does(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    assert "run in isolation and recorded. At a terminal" in cli("run", "--help").out


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out.startswith("osprey-executor ")
    assert cli("--version").code == 0
    said = cli("--help")
    assert said.code == 0
    assert all(name in said.out for name in COMMANDS)
