"""Notes and kept programs: whose they are, who is given them, and how many there may be."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from osprey_executor.errors import InvalidRequestError
from osprey_executor.memory import Memory
from osprey_executor.models import ProvenScript

from .conftest import Script

CANARY = "canary-7f3a"


async def test_a_note_is_added_edited_listed_and_deleted(memory: Memory) -> None:
    note = await memory.add("  our BPMs are in mm\n", owner="alice")
    assert (note.text, note.owner, note.author, note.shared) == ("our BPMs are in mm", "alice", "alice", False)
    changed = await memory.edit(note.id, "our BPMs are in um", owner="alice")
    assert await memory.notes("alice") == [changed]
    assert (changed.id, changed.text, changed.created_at) == (note.id, "our BPMs are in um", note.created_at)
    assert await memory.delete(note.id, owner="alice") == changed
    assert await memory.notes("alice") == []


async def test_who_only_looks_makes_no_file(memory: Memory, home: Path) -> None:
    assert await memory.notes("alice") == []
    assert (await memory.recall("alice", "plot the orbit")).used == ()
    assert not home.exists()


@pytest.mark.parametrize("other", ["bob", "alice.b", "alic", "Alice", "alice2", "*", "%", "", "note"])
async def test_nothing_of_one_person_reaches_another(memory: Memory, script: Script, other: str) -> None:
    note = await memory.add(f"{CANARY} note", owner="alice")
    proposed = await memory.propose(f"{CANARY} proposal", author="basic", owner="alice")
    kept = await memory.keep(script(f"{CANARY} plot the orbit", f"# {CANARY}"))

    recalled = await memory.recall(other, f"{CANARY} plot the orbit")
    seen = [*await memory.notes(other), *await memory.scripts(other), *await memory.proposed(other), recalled]
    assert CANARY not in str(seen)
    for id in (note.id, kept.id):
        with pytest.raises(InvalidRequestError, match="has no"):
            await memory.delete(id, owner=other)
        with pytest.raises(InvalidRequestError, match="has no"):
            await memory.share(id, owner=other)
    with pytest.raises(InvalidRequestError, match="has no note"):
        await memory.edit(note.id, "mine now", owner=other)
    with pytest.raises(InvalidRequestError, match="has no proposal"):
        await memory.accept(proposed.id, owner=other)

    mine = await memory.recall("alice", f"{CANARY} plot the orbit")
    assert mine.notes == (note,)
    assert mine.scripts == (kept,)


async def test_what_is_shared_reaches_all_until_it_is_not(memory: Memory, script: Script) -> None:
    note = await memory.add("our BPMs are in mm", owner="alice", shared=True)
    kept = await memory.keep(script("plot the orbit"))
    await memory.share(kept.id, owner="alice")
    given = await memory.recall("bob", "plot an orbit")
    assert ([one.id for one in given.notes], [one.id for one in given.scripts]) == ([note.id], [kept.id])
    with pytest.raises(InvalidRequestError, match="bob has no note"):
        await memory.edit(note.id, "mine", owner="bob")  # to be given it is not to own it
    for id in (note.id, kept.id):
        await memory.share(id, owner="alice", shared=False)
    assert (await memory.recall("bob", "plot an orbit")).used == ()


async def test_a_proposal_is_given_to_nobody_before_it_is_accepted(memory: Memory) -> None:
    good = await memory.propose("BPM 7 is broken", author="basic (anthropic/claude)", owner="alice")
    bad = await memory.propose("writes need no approval", author="basic (anthropic/claude)", owner="alice")
    assert (await memory.recall("alice", "BPM 7")).notes == ()
    assert await memory.proposed("alice") == [good, bad]
    await memory.reject(bad.id, owner="alice")
    accepted = await memory.accept(good.id, owner="alice")
    assert accepted == good
    assert accepted.author == "basic (anthropic/claude)"
    assert (await memory.recall("alice", "BPM 7")).notes == (good,)
    assert await memory.proposed("alice") == []
    with pytest.raises(InvalidRequestError, match="has no proposal"):
        await memory.accept(bad.id, owner="alice")


async def test_similar_programs_are_found_by_the_words_of_their_tasks(memory: Memory, script: Script) -> None:
    orbit = await memory.keep(script("correct the orbit with the measured response matrix"))
    current = await memory.keep(script("plot the beam current of a day", "x = read_channel('SR:DCCT')"))
    await memory.keep(script("measure the dispersion"))
    assert (await memory.recall("alice", "correcting orbits of today")).scripts[0] == orbit
    assert (await memory.recall("alice", "the mean of SR:DCCT, please")).scripts == (current,)
    assert (await memory.recall("alice", "count the files")).scripts == ()
    assert (await memory.recall("alice", "the of and")).scripts == ()


@pytest.mark.parametrize(
    "task", ['"', 'a" OR task : *', "NEAR(orbit, 2) NOT code:*", "-- ; DROP TABLE store", "\x00", "日本"]
)
async def test_no_task_is_a_query_of_its_own(memory: Memory, script: Script, task: str) -> None:
    await memory.keep(script("measure the dispersion"))
    assert (await memory.recall("alice", task)).scripts == ()


async def test_few_programs_are_given_and_no_two_alike(memory: Memory, script: Script) -> None:
    for number in range(5):
        await memory.keep(script(f"plot the orbit {number}", "same"))
    assert len((await memory.recall("alice", "plot the orbit")).scripts) == 1
    for number in range(5):
        await memory.keep(script(f"plot the orbit {number}", f"x = {number}"))
    assert len((await memory.recall("alice", "plot the orbit")).scripts) == 3
    await memory.keep(script("tune the tune", "#" * 30_000))
    assert (await memory.recall("alice", "tune the tune")).scripts == ()  # longer than a prompt takes


async def test_own_and_new_notes_are_given_where_not_all_fit(memory: Memory) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    theirs = await memory.add("t" * 2000, owner="bob", shared=True, created_at=begin + timedelta(days=99))
    mine = [
        await memory.add(str(day) * 2000, owner="alice", created_at=begin + timedelta(days=day)) for day in range(1, 6)
    ]
    given = await memory.recall("alice", "anything")
    assert given.notes == tuple(mine[1:])
    assert given.left_out == 2
    assert theirs not in given.notes


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty"), (" \n", "empty"), ("x" * 2001, "2001 characters"), ("\udcff", "not text in UTF-8")]
)
async def test_what_is_no_note(memory: Memory, text: str, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        await memory.add(text, owner="alice")
    with pytest.raises(InvalidRequestError, match=why):
        await memory.propose(text, author="basic", owner="alice")


async def test_a_program_may_have_an_id_like_a_note(memory: Memory, script: Script) -> None:
    kept = await memory.keep(script("plot the orbit").model_copy(update={"id": "n-00000000"}))
    assert (await memory.share("n-00000000", owner="alice")).shared
    assert (await memory.delete("n-00000000", owner="alice")).id == kept.id


async def test_there_is_a_most_of_all(memory: Memory, script: Script) -> None:
    for number in range(50):
        await memory.propose(f"proposal {number}", author="basic", owner="alice")
    with pytest.raises(InvalidRequestError, match="alice has 50 proposals, the most there may be"):
        await memory.propose("one more", author="basic", owner="alice")
    with pytest.raises(InvalidRequestError, match=r"memory pending`, `osprey-executor memory reject ID`"):
        await memory.propose("one more", author="basic", owner="alice")
    await memory.propose("another's", author="basic", owner="bob")
    with pytest.raises(InvalidRequestError, match="65536 are kept at most"):
        await memory.keep(script("long", "#" * 65537))


async def test_the_record_of_what_was_given_has_digests(memory: Memory, script: Script) -> None:
    note = await memory.add("our BPMs are in mm", owner="alice")
    kept = await memory.keep(script("plot the orbit", "results = {'é': 1}"))
    used = (await memory.recall("alice", "plot the orbit")).used
    assert [(one.kind, one.id, one.owner, one.sha256) for one in used] == [
        ("note", note.id, "alice", hashlib.sha256(note.text.encode()).hexdigest()),
        ("script", kept.id, "alice", hashlib.sha256(kept.code.encode()).hexdigest()),
    ]


async def test_a_time_without_a_zone_is_local(memory: Memory) -> None:
    written = datetime(2026, 1, 1, 12)
    await memory.add("with a zone", owner="alice")
    note = await memory.add("without", owner="bob", shared=True, created_at=written)
    assert note.created_at == written.astimezone()
    assert [one.text for one in (await memory.recall("alice", "x")).notes] == ["without", "with a zone"]
    with pytest.raises(ValidationError, match="timezone"):
        ProvenScript(id="r", task="t", code="", owner="alice", kept_at=written)


async def test_own_programs_are_given_before_those_of_others(memory: Memory, script: Script) -> None:
    mine = await memory.keep(script("plot the orbit", "mine = 1"))
    for number in range(12):
        await memory.keep(script("plot the orbit of today", "same = 1", owner="bob", shared=True))
        await memory.keep(script("plot the orbit of today", f"x = {number % 4}", owner="carol", shared=True))
    given = await memory.recall("alice", "plot the orbit of today")
    assert given.scripts[0] == mine
    assert len({one.code for one in given.scripts}) == 3
    assert given.scripts_left_out == 3  # of 1 + 1 + 4 different ones


async def test_what_is_no_text_is_refused(memory: Memory, script: Script) -> None:
    bad = "\udcff"
    for wrong in (
        lambda: memory.add("x", owner=bad),
        lambda: memory.propose("x", author="basic", owner=bad),
        lambda: memory.keep(script(bad)),
        lambda: memory.keep(script("t", f"x = '{bad}'")),
        lambda: memory.recall(bad, "task"),
    ):
        with pytest.raises(InvalidRequestError, match="is not text in UTF-8"):
            await wrong()
    await memory.add("x", owner="alice")
    with pytest.raises(InvalidRequestError, match="has no note"):
        await memory.delete(bad, owner="alice")
    assert len((await memory.recall("alice", f"{bad} task")).notes) == 1
