"""`settle`: what a person sees, and that only their whole word, or `--yes`, lets a channel be written again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from osprey_executor.interfaces.cli.console import PlainConsole
from osprey_executor.interfaces.cli.summary import run_summary
from osprey_executor.models import MachineEffects, RunStatus, Settled, Write

from .conftest import Cli
from .fake_service import RUN, FakeService, result
from .terminal import Open, terminals

PROMPT = r"again: "


@pytest.fixture
def terminal() -> Iterator[Open]:
    with terminals(sys.executable, str(Path(__file__).with_name("fake_main.py"))) as opened:
        yield opened


def test_without_a_terminal_it_is_shown_and_nothing_is_settled(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeService, "log", tmp_path / "log")
    said = cli("settle", RUN)
    assert said.code == 7
    assert "Not settled" in said.out
    assert f"osprey-executor settle {RUN} --yes" in said.err
    for word in ("SR:HCM:01:SP", "0.2", "0.1", "it was written", "that says nothing", "50 min"):
        assert word in said.err
    assert "\x1b" not in said.out + said.err
    assert not (tmp_path / "log").exists()


def test_yes_settles(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeService, "log", tmp_path / "log")
    said = cli("settle", RUN, "--yes")
    assert said.code == 0
    assert "Settled by operator" in said.out
    assert (tmp_path / "log").read_text() == "settled"


def test_json_is_one_document(cli: Cli) -> None:
    seen = cli("settle", RUN, "--json")
    assert (seen.code, seen.document["by"], seen.document["writes"][0]["present"]) == (7, None, "0.2")
    settled = cli("settle", RUN, "--yes", "--json")
    assert (settled.code, settled.document["by"], settled.document["effects"]) == (0, "operator", "written")


def test_nothing_to_settle(cli: Cli) -> None:
    said = cli("settle", "other")
    assert said.code == 0
    assert "Nothing to settle" in said.out


@pytest.mark.parametrize(("answer", "code"), [("settle", 0), ("yes", 7), ("s", 7), ("", 7), ("settle it", 7)])
def test_only_the_whole_word_settles(terminal: Open, tmp_path: Path, answer: str, code: int) -> None:
    tty = terminal("settle", RUN, FAKE_LOG=str(tmp_path / "log"))
    tty.answer(PROMPT, answer)
    assert tty.end() == code
    assert (tmp_path / "log").exists() is (code == 0)
    assert "Look at the machine itself" in " ".join(tty.screen.split())


@pytest.mark.parametrize(
    ("effects", "settled", "told"),
    [
        (MachineEffects.UNKNOWN, None, f"look at X, then `osprey-executor settle {RUN}`"),
        (MachineEffects.UNKNOWN, Settled.UNKNOWN, "nobody can say whether the last write arrived: X, settled as that"),
        (MachineEffects.WRITTEN, Settled.WRITTEN, "written: 1 write to 1 channel, confirmed or settled"),
        (MachineEffects.NONE, Settled.NOT_WRITTEN, "nothing was written"),
    ],
)
def test_a_summary_tells_what_is_to_be_done(effects: MachineEffects, settled: Settled | None, told: str) -> None:
    writes = (Write(channel="X", value="1", confirmed=False, settled=settled),)
    console = PlainConsole(width=200)
    with console.capture() as captured:
        console.print(run_summary(result(RunStatus.OUTCOME_UNKNOWN, effects=effects, writes=writes)))
    assert told in captured.get()
