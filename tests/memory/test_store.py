"""The file of the memory: its rights, two processes at once, and what breaks it."""

from __future__ import annotations

import asyncio
import fcntl
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from osprey_executor.errors import StorageError
from osprey_executor.memory import Memory

from .conftest import Script

ADD_MANY = """
import asyncio, sys
from pathlib import Path
from osprey_executor.memory import Memory

async def main():
    memory = Memory(Path(sys.argv[1]))
    for number in range(20):
        await memory.add(f"{sys.argv[2]} {number}", owner="alice")
    await memory.close()

asyncio.run(main())
"""


async def test_only_this_user_may_read_it(memory: Memory, home: Path) -> None:
    await memory.add("our BPMs are in mm", owner="alice")
    files = sorted(home.iterdir())
    assert "memory.sqlite" in [path.name for path in files]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


async def test_two_processes_begin_one_memory_at_once(memory: Memory, home: Path) -> None:
    commands = [[sys.executable, "-c", ADD_MANY, str(home), name] for name in ("one", "two")]
    running = [subprocess.Popen(command) for command in commands]
    assert [await asyncio.to_thread(process.wait, 100) for process in running] == [0, 0]
    assert len({note.text for note in await memory.notes("alice")}) == 40


async def test_two_services_do_not_accept_and_reject_at_once(memory: Memory, home: Path) -> None:
    other = Memory(home)
    for number in range(10):
        note = await memory.propose(f"proposal {number}", author="basic", owner="alice")
        ends = await asyncio.gather(
            memory.accept(note.id, owner="alice"), other.reject(note.id, owner="alice"), return_exceptions=True
        )
        assert len([end for end in ends if isinstance(end, Exception)]) == 1
    await other.close()


@pytest.mark.parametrize("found", [b"this is no database, but it is long enough to be looked at as one" * 64, b""])
async def test_a_file_that_is_no_database(home: Path, found: bytes) -> None:
    home.mkdir()
    (home / "memory.sqlite").write_bytes(found)
    memory = Memory(home)
    if found:
        with pytest.raises(
            StorageError, match=r"memory\.sqlite cannot be used: file is not a database; .* begins a new"
        ):
            await memory.recall("alice", "plot the orbit")
    else:
        assert (await memory.recall("alice", "plot the orbit")).used == ()
    await memory.close()


@pytest.mark.parametrize(
    "found", ['{"id": 1}', "no JSON", b"\xff\xfe", '{"shared": true, "text": "\\ud800"}', "[]", ""]
)
async def test_a_damaged_row_is_told_and_left_out_and_can_be_deleted(
    memory: Memory, home: Path, script: Script, found: str | bytes
) -> None:
    good = await memory.add("our BPMs are in mm", owner="alice")
    bad = await memory.add("damaged", owner="alice")
    kept, other = await memory.keep(script("plot the orbit")), await memory.keep(script("plot an orbit", "x = 1"))
    proposal = await memory.propose("damaged", author="basic", owner="alice")
    db = sqlite3.connect(home / "memory.sqlite")
    for id in (bad.id, other.id, proposal.id):
        db.execute("UPDATE store SET value = ? WHERE key = ?", (found, id))
    db.commit()
    db.close()
    given = await memory.recall("alice", "plot the orbit")
    assert (given.notes, given.scripts) == ((good,), (kept,))
    assert given.damaged == (f"note {bad.id} of alice", f"kept program {other.id} of alice")
    assert await memory.damaged("alice") == [*given.damaged, f"proposal {proposal.id} of alice"]
    assert await memory.notes("alice") == [good]
    with pytest.raises(StorageError, match=f"is damaged .* memory delete {bad.id}"):
        await memory.edit(bad.id, "another", owner="alice")
    with pytest.raises(StorageError, match=f"is damaged .* memory reject {proposal.id}"):
        await memory.accept(proposal.id, owner="alice")
    assert (await memory.recall("bob", "plot the orbit")).notes == ()
    assert [await memory.delete(id, owner="alice") for id in (bad.id, other.id)] == [None, None]
    assert await memory.reject(proposal.id, owner="alice") is None
    assert await memory.damaged("alice") == []


async def test_what_others_share_and_is_damaged_breaks_nobody(memory: Memory, home: Path) -> None:
    shared = await memory.add("shared", owner="bob", shared=True)
    mine = await memory.add("our BPMs are in mm", owner="alice")
    db = sqlite3.connect(home / "memory.sqlite")
    naive = (
        "UPDATE store SET value = json_set(CAST(value AS TEXT), '$.created_at', '2020-01-01T00:00:00') WHERE key = ?"
    )
    db.execute(naive, (shared.id,))
    db.commit()
    db.close()
    given = await memory.recall("alice", "plot the orbit")
    assert (given.notes, given.damaged) == ((mine,), (f"note {shared.id} of bob",))


@contextmanager
def no_file_beyond(size: int) -> Generator[None]:
    """Let this process write no file beyond `size` bytes: what a full disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def until_it_is_full(memory: Memory) -> None:
    for number in range(100):
        await memory.add(f"{number}" + "x" * 1900, owner="alice")


async def test_a_disk_that_takes_no_more(memory: Memory, home: Path) -> None:
    await memory.add("the first", owner="alice")
    written = max(path.stat().st_size for path in home.iterdir())
    with no_file_beyond(written), pytest.raises(StorageError, match="make room"):
        await until_it_is_full(memory)
    kept = await memory.notes("alice")
    assert kept[0].text == "the first"
    assert (await memory.add("after", owner="alice")).text == "after"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no other process."""
    monkeypatch.setattr("osprey_executor.memory._store._PATIENCE", 0)


@pytest.mark.usefixtures("impatient")
async def test_a_lock_that_somebody_keeps_is_waited_for_with_an_end(memory: Memory, home: Path) -> None:
    other = Memory(home)
    await other.add("our BPMs are in mm", owner="alice")
    await other.close()
    with (home / "memory.lock").open("r+b") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        for asked in (memory.recall("alice", "plot the orbit"), memory.add("another", owner="alice")):
            with pytest.raises(StorageError, match=r"another process has held memory\.lock .* or end it \(`fuser /"):
                await asked
    assert len((await memory.recall("alice", "plot the orbit")).notes) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_database_that_somebody_locks_is_not_to_be_moved_away(memory: Memory, home: Path) -> None:
    await memory.add("our BPMs are in mm", owner="alice")
    db = sqlite3.connect(home / "memory.sqlite", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"another process has held memory\.sqlite") as told:
        await memory.add("another", owner="alice")
    assert "move" not in str(told.value)
    db.close()
    assert (await memory.add("another", owner="alice")).text == "another"
