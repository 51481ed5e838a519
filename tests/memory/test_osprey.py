"""Osprey's user memory is taken over; nothing of it is lost in silence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.errors import InvalidRequestError
from osprey_executor.memory import Memory


def write(folder: Path, user: str, *entries: Any, name: str | None = None) -> Path:
    """Write one file as Osprey does."""
    folder.mkdir(exist_ok=True)
    file = folder / (name or f"{user}.json")
    file.write_text(json.dumps({"user_id": user, "last_updated": "2025-11-03 09:12", "entries": list(entries)}))
    return file


def entry(text: str, stamp: str = "2025-10-31 14:30") -> dict[str, str]:
    """One thing that Osprey remembers."""
    return {"timestamp": stamp, "content": text}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Osprey's `user_memory_dir`."""
    return tmp_path / "user_memory"


async def test_the_notes_of_each_user_are_theirs(memory: Memory, folder: Path) -> None:
    write(folder, "alice", entry("our BPMs are in mm"), entry("I like grids", "2025-11-02 08:00"))
    write(folder, "bob@lab", entry("bob's secret"), name="boblab.json")
    done = await memory.import_osprey(folder)
    assert (len(done.notes), done.known, done.problems) == (3, 0, ())
    notes = await memory.notes("alice")
    assert [note.text for note in notes] == ["our BPMs are in mm", "I like grids"]
    assert notes[0].created_at.astimezone().strftime("%Y-%m-%d %H:%M") == "2025-10-31 14:30"
    assert [note.text for note in await memory.notes("bob@lab")] == ["bob's secret"]


async def test_a_second_time_adds_nothing(memory: Memory, folder: Path) -> None:
    write(folder, "alice", entry("our BPMs are in mm"), entry("our BPMs are in mm"))
    assert len((await memory.import_osprey(folder)).notes) == 1
    again = await memory.import_osprey(folder)
    assert (again.notes, again.known) == ((), 2)


async def test_one_user_becomes_me(memory: Memory, folder: Path) -> None:
    write(folder, "cli_user", entry("our BPMs are in mm"))
    write(folder, "bob", entry("bob's secret"))
    await memory.import_osprey(folder, user="cli_user", owner="alice")
    assert [note.text for note in await memory.notes("alice")] == ["our BPMs are in mm"]
    assert await memory.notes("bob") == []
    assert (await memory.import_osprey(folder, user="carol")).problems == ("nothing is remembered of a user 'carol'",)


async def test_what_is_bad_is_told_and_the_rest_is_taken(memory: Memory, folder: Path) -> None:
    good = write(
        folder,
        "alice",
        entry("good"),
        entry("no time", "yesterday"),
        {"timestamp": "2025-10-31 14:30"},
        "text",
        entry(" "),
    )
    (folder / "torn.json").write_text(good.read_text()[:60])
    (folder / "list.json").write_text("[]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "latin.json").write_bytes(b'{"user_id": "\xe9"}')
    (folder / "nobody.json").write_text('{"entries": []}')
    (folder / "words.json").write_text('{"user_id": "w", "entries": "none"}')
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    write(folder, "zoe", entry("x" * 2001))
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = await memory.import_osprey(folder)
    assert [note.text for note in done.notes] == ["good", "no time"]
    told = "\n".join(done.problems)
    for part in (
        "alice.json, entry 2: its timestamp 'yesterday' cannot be read",
        "alice.json, entry 3: it has no text",
        "alice.json, entry 4: it has no text",
        "alice.json, entry 5: the note is empty",
        "torn.json: it is not JSON",
        "list.json: it is no JSON object",
        "deep.json: it is nested too deeply",
        "latin.json: it is not text in UTF-8",
        "nobody.json: it names no user_id",
        "words.json: its entries are no list",
        "folder.json: it is no file",
        "pipe.json: it is no file",
        "zoe.json, entry 1: the note has 2001 characters",
    ):
        assert part in told
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("made", [True, False])
async def test_a_folder_without_memories(memory: Memory, folder: Path, made: bool) -> None:
    if made:
        folder.mkdir()
    with pytest.raises(InvalidRequestError, match=r"holds no \.json file" if made else "No such file"):
        await memory.import_osprey(folder)


async def test_a_user_who_is_no_text_keeps_nobody_else_out(memory: Memory, folder: Path) -> None:
    write(folder, "\ud800", entry("half a character"), name="bad.json")
    write(folder, "bob", entry("bob's"))
    done = await memory.import_osprey(folder)
    assert [note.text for note in done.notes] == ["bob's"]
    [problem] = done.problems
    assert problem.startswith("bad.json: its user_id is not text in UTF-8")


async def test_a_full_memory_is_told_once(memory: Memory, folder: Path) -> None:
    write(folder, "alice", *(entry(f"note {number}") for number in range(203)))
    done = await memory.import_osprey(folder)
    assert len(done.notes) == 200
    [problem] = done.problems
    assert problem.startswith("3 notes: alice has 200 notes, the most there may be")
