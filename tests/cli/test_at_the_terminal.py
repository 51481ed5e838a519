"""What a person can do at a terminal: a real one, on the fake service."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from osprey_executor.interfaces import cli

from .fake_service import RUN
from .terminal import PROMPT, Open, terminals


@pytest.fixture
def terminal() -> Iterator[Open]:
    with terminals(sys.executable, str(Path(__file__).with_name("fake_main.py"))) as opened:
        yield opened


def test_nothing_but_the_whole_word_approves(terminal: Open) -> None:
    tty = terminal("run", "write")
    for answer in ("", "y", "a", "appr", "approve it"):
        tty.answer(PROMPT, answer)
    tty.answer(PROMPT, "approve")
    assert tty.end() == 0
    assert "Nothing is decided yet." in tty.screen
    assert "Succeeded" in tty.screen


def test_right_above_the_question_stand_machine_and_what_nobody_knows(terminal: Open) -> None:
    tty = terminal("run", "write")
    tty.answer(PROMPT, "later")
    tty.end()
    above = tty.screen.partition("Decide (")[0].rstrip().splitlines()
    assert above[-4:] == [
        " Writes to SR:HCM:01:SP on a virtual accelerator",
        " Machine: not real  simulator; writes enabled",
        " Approved now, it would write nothing: writes are stopped by \\x1b[31mann",
        " ? which values it will write",
    ]
    assert "osprey-executor approve" not in "\n".join(above)
    assert f"osprey-executor approve {RUN}" in tty.screen


def test_what_was_typed_before_the_question_is_no_answer(terminal: Open) -> None:
    tty = terminal("run", "write")
    tty.child.send("approve\napprove\n")
    tty.answer(PROMPT, "later")
    assert tty.end() == 3
    assert "Waiting for approval" in tty.screen


def test_rejection_with_a_reason(terminal: Open, tmp_path: Path) -> None:
    tty = terminal("run", "write", FAKE_LOG=str(tmp_path / "log"))
    tty.answer(PROMPT, "reject")
    tty.answer("Why", "too strong")
    tty.answer("try again", "")
    assert tty.end() == 4
    assert (tmp_path / "log").read_text() == "Reject(reason='too strong', regenerate=False)"


def test_the_end_of_input_means_later(terminal: Open) -> None:
    tty = terminal("run", "write")
    tty.child.expect(PROMPT)
    tty.child.sendeof()
    assert tty.end() == 3


def test_a_terminal_that_goes_away_leaves_the_run_waiting(terminal: Open, tmp_path: Path) -> None:
    tty = terminal("run", "write", FAKE_LOG=str(tmp_path / "log"))
    tty.child.expect(PROMPT)
    tty.child.ptyproc.fileobj.close()  # the kernel hangs up on the session, as when a connection is lost
    os.waitpid(tty.child.pid, 0)
    assert (tmp_path / "log").read_text() == "None"


def test_a_demo_whose_terminal_goes_away_is_cancelled(terminal: Open, tmp_path: Path) -> None:
    """Its machine ends with the command, so nobody could approve it later."""
    tty = terminal("demo", FAKE_LOG=str(tmp_path / "log"), FAKE_TASK="write")
    tty.child.expect(PROMPT)
    tty.child.ptyproc.fileobj.close()
    os.waitpid(tty.child.pid, 0)
    assert (tmp_path / "log").read_text() == "cancelled"


def test_a_decision_elsewhere_takes_the_question_away(terminal: Open) -> None:
    tty = terminal("run", "settled")
    tty.child.expect(PROMPT)
    assert tty.end() == 0
    assert "Decide" not in tty.screen
    assert "carol approved it in another process" in tty.screen


def test_editing_shows_a_new_card_for_the_new_code(terminal: Open, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "edited = True" >> "$1"\n')
    editor.chmod(0o700)
    tty = terminal("run", "write", EDITOR=str(editor), FAKE_LOG=str(tmp_path / "log"))
    tty.answer(PROMPT, "edit")
    tty.child.expect("edited")
    tty.answer(PROMPT, "approve")
    assert tty.end() == 0
    assert "cdcd" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("editor", ["true", "false", "/nonexistent/editor", "'"])
def test_an_editor_that_changes_nothing_decides_nothing(terminal: Open, editor: str) -> None:
    tty = terminal("run", "write", EDITOR=editor)
    tty.answer(PROMPT, "edit")
    tty.answer(PROMPT, "later")
    assert tty.end() == 3


def test_ctrl_c_cancels_while_the_code_runs(terminal: Open) -> None:
    tty = terminal("run", "hang")
    tty.child.expect("a warning")
    tty.child.sendintr()
    assert tty.end() == 130
    assert "Cancelled" in tty.screen


def test_ctrl_c_cancels_at_the_question(terminal: Open) -> None:
    tty = terminal("run", "write")
    tty.child.expect(PROMPT)
    tty.child.sendintr()
    assert tty.end() == 130


def test_termination_cancels(terminal: Open) -> None:
    tty = terminal("run", "hang")
    tty.child.expect("a warning")
    tty.child.kill(signal.SIGTERM)
    assert tty.end() == 130


@pytest.mark.parametrize(("word", "code"), [("approve", 0), ("yes", 0), ("y", 3), ("", 3)])
def test_approve_asks_for_a_whole_word(terminal: Open, word: str, code: int) -> None:
    tty = terminal("approve", "2026")
    tty.answer("Type approve", word)
    assert tty.end() == code


def test_a_narrow_terminal_that_cannot_repaint(terminal: Open) -> None:
    tty = terminal("run", "write", columns=40, TERM="dumb", NO_COLOR="1", PYTHONIOENCODING="ascii")
    tty.answer(PROMPT, "approve")
    assert tty.end() == 0
    assert "\x1b" not in tty.screen
    assert "running in the sandbox ..." in tty.screen


def test_the_first_configuration_is_asked_for(terminal: Open, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    tty = terminal("config", "init", "--output", str(file), OPENAI_API_KEY="not-to-be-written")
    tty.answer("Provider", "openai")
    tty.answer("Model", "")
    tty.answer("variable", "")
    assert tty.end() == 0
    assert "${OPENAI_API_KEY}" in file.read_text()
    assert "not-to-be-written" not in file.read_text() + tty.screen


def test_a_mistyped_provider_can_be_taken_back(terminal: Open, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    tty = terminal("config", "init", "--output", str(file), columns=200)
    tty.answer("Provider", "anthropc")
    tty.answer("Did you mean anthropic.*Base URL", "")
    tty.answer("Provider", "anthropic")
    tty.answer("Model", "")
    tty.answer("variable", "")
    assert tty.end() == 0
    assert 'provider: "anthropic"' in file.read_text()


def test_the_entry_point_is_where_the_package_says() -> None:
    assert callable(cli.main)
