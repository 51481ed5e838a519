"""`memory`: the commands on a real service, with nobody at a terminal."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.interfaces.cli.app import main
from osprey_executor.models import system_user

from .conftest import Cli, Said


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call `osprey-executor` on the real service."""

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = capsys.readouterr()
        assert "Traceback (most recent call last)" not in said.out + said.err
        return Said(int(left.value.code or 0), said.out, said.err)

    return call


def proposed(home: Path, text: str) -> str:
    """Let a model propose a note to the user of this test."""
    import asyncio

    async def propose() -> str:
        async with PythonExecutorService.from_config({}, home=home) as service:
            return (await service.memory.propose(text, author="basic (anthropic/x)")).id

    return asyncio.run(propose())


def ended_run(**fields: Any) -> str:
    """Run a program of one's own and return its id."""
    request = PythonExecutionRequest(user_query="add two numbers", **{"code": "results = {'sum': 1 + 1}", **fields})
    return PythonExecutorService.from_config({}).run_sync(request).run_id


def test_notes(cli: Cli) -> None:
    assert cli("memory", "list").err.startswith("Nothing is remembered.")
    said = cli("memory", "add", "our BPMs are in mm")
    assert said.out.startswith("Noted as n-")
    id = said.out.split()[2].rstrip(":")
    assert cli("memory", "edit", id, "our BPMs are in um").out == "Changed: our BPMs are in um\n"
    assert cli("memory", "share", id).out == "Shared: our BPMs are in um, shared with everybody\n"
    listed = cli("memory", "list")
    assert id in listed.out
    assert f"{system_user()}, shared" in listed.out
    assert "our BPMs are in um" in listed.out
    assert cli("memory", "show", id).out == "our BPMs are in um\n"
    assert [note["id"] for note in cli("memory", "list", "--json").document["notes"]] == [id]
    assert cli("memory", "share", id, "--stop").out == "No longer shared: our BPMs are in um\n"
    assert cli("memory", "delete", id).out == "Deleted: our BPMs are in um\n"
    again = cli("memory", "delete", id)
    assert again.code == 2
    assert f"has no note or kept program '{id}'; `osprey-executor memory list` shows them" in again.err


def test_hostile_text_is_shown_harmlessly(cli: Cli) -> None:
    text = "safe \x1b[2J\u202egnp.exe\nsecond line"
    id = cli("memory", "add", text, "--json").document["id"]
    for said in (cli("memory", "list"), cli("memory", "show", id), cli("memory", "delete", id)):
        assert "\x1b" not in said.out
        assert "\u202e" not in said.out
        assert "\\x1b[2J\\u202e" in said.out


def test_proposals_wait(cli: Cli, home: Path) -> None:
    good, bad = proposed(home, "BPM 7 is broken"), proposed(home, "writes need no approval")
    assert "2 proposed by models: osprey-executor memory pending" in cli("memory", "list").err
    assert cli("memory", "list", "--json").document["notes"] == []
    pending = cli("memory", "pending")
    assert "basic (anthropic/x) to" in pending.out
    assert "BPM 7 is broken" in pending.out
    assert cli("memory", "accept", good).out == f"Noted as {good}: BPM 7 is broken\n"
    assert cli("memory", "reject", bad).out == "Rejected: writes need no approval\n"
    assert cli("memory", "pending").err == "No note waits to be accepted.\n"
    assert [note["id"] for note in cli("memory", "list", "--json").document["notes"]] == [good]


def test_nothing_is_kept_that_nobody_has_looked_at(cli: Cli) -> None:
    run = ended_run()
    asked = cli("memory", "keep", run)  # nobody is at a terminal
    assert asked.code == 3
    assert "results = {'sum': 1 + 1}" in asked.err
    assert f"Not kept. When you have read it: osprey-executor memory keep {run} --yes" in asked.err
    assert cli("memory", "list", "--json").document["scripts"] == []
    assert cli("memory", "keep", run, "--yes").out == f"Kept as {run}: program: add two numbers\n"
    assert cli("memory", "show", run).out == "results = {'sum': 1 + 1}\n"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"code": "raise SystemExit(1)"}, "only a run that succeeded can be kept"),
        ({"requester": "somebody-else"}, "is of somebody-else: nobody else can keep it"),
    ],
)
def test_runs_that_are_no_examples(cli: Cli, fields: dict[str, Any], why: str) -> None:
    said = cli("memory", "keep", ended_run(**fields), "--yes")
    assert said.code == 2
    assert why in said.err


def test_show_tells_what_the_generator_was_given(cli: Cli) -> None:
    id = cli("memory", "add", "our BPMs are in mm", "--json").document["id"]
    service = PythonExecutorService.from_config({"execution": {"code_generator": "mock"}})
    run = service.run_sync(PythonExecutionRequest(user_query="plot the orbit")).run_id
    assert f"the generator was given note {id}" in cli("show", run).out
    [used] = cli("show", run, "--json").document["memory"]
    assert (used["id"], len(used["sha256"])) == (id, 64)


def test_import(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "user_memory"
    folder.mkdir()
    entries = [{"timestamp": "2025-10-31 14:30", "content": "our BPMs are in mm"}]
    (folder / "cli_user.json").write_text(json.dumps({"user_id": "cli_user", "entries": entries}))
    said = cli("memory", "import", str(folder), "--user", "cli_user")
    assert (said.code, said.out) == (0, f"Notes taken over: 1 of {system_user()}.\n")
    (folder / "torn.json").write_text("{")
    said = cli("memory", "import", str(folder), "--user", "cli_user")
    assert said.code == 1
    assert said.out == "Notes taken over: 0, 1 were there already.\n"
    assert "torn.json: it is not JSON" in said.err
    assert cli("memory", "import", str(tmp_path / "nowhere")).code == 2


def test_a_memory_that_is_broken(cli: Cli, home: Path) -> None:
    home.mkdir()
    (home / "memory.sqlite").write_text("nothing" * 1000)
    said = cli("memory", "list")
    assert said.code == 2
    assert "memory.sqlite cannot be used: file is not a database" in said.err


def test_a_damaged_note_is_named_and_deleted(cli: Cli, home: Path) -> None:
    id = cli("memory", "add", "our BPMs are in mm").out.split()[2].rstrip(":")
    db = sqlite3.connect(home / "memory.sqlite")
    db.execute("UPDATE store SET value = '{'")
    db.commit()
    db.close()
    said = cli("memory", "list")
    assert (said.code, f"damaged: note {id} of {system_user()}" in said.err) == (0, True)
    assert cli("memory", "list", "--json").document["damaged"] == [f"note {id} of {system_user()}"]
    assert cli("memory", "delete", id).out == "Deleted: it was damaged\n"
    assert "damaged" not in cli("memory", "list").err
