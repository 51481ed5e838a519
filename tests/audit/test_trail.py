"""The audit trail: what is changed, left out, cut off or put elsewhere is noticed; what cannot be recorded is told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from osprey_executor.audit import Trail, exported, verify
from osprey_executor.errors import InvalidRequestError, StorageError

Lines = list[bytes]


def filled(home: Path, heads: Path | None = None, count: int = 6) -> Path:
    """A trail with some records; return its file."""
    trail = Trail(home, heads)
    for number in range(count):
        trail.record("decision", durable=number == count - 2, run=f"r{number}", by="anna")
    return home / "audit.jsonl"


def test_a_trail_that_nobody_touched_is_whole(tmp_path: Path) -> None:
    filled(tmp_path)
    found = verify(tmp_path)
    assert (found.records, found.problems, found.claimed, found.outside) == (6, (), 0, 6)
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert verify(tmp_path / "none").records == 0


def changed(lines: Lines) -> Lines:
    return [*lines[:2], lines[2].replace(b"anna", b"eve"), *lines[3:]]


def rechained(lines: Lines) -> Lines:
    """Change a record, and mend the chain behind it as anybody can."""
    import hashlib

    lines = changed(lines)
    for place in range(3, len(lines)):
        record = json.loads(lines[place])
        record["before"] = hashlib.sha256(lines[place - 1]).hexdigest()
        lines[place] = json.dumps(record, separators=(",", ":")).encode()
    return lines


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (changed, "does not follow"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b"anna", b"eve")], "is not the one of the head"),
        (lambda lines: [*lines[:2], *lines[3:]], "is missing, or not at its place"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "not at its place"),
        (lambda lines: lines[:-1], "cut off"),
        (lambda lines: lines[:2], "cut off"),
        (lambda lines: [], "cut off"),
        (rechained, "is not the one of the head"),
        (lambda lines: [*lines[:3], b"{", *lines[4:]], "is no record"),
    ],
)
def test_harm_is_noticed_also_after_the_trail_went_on(
    tmp_path: Path, harm: Callable[[Lines], Lines], told: str
) -> None:
    file = filled(tmp_path)
    file.write_bytes(b"".join(line + b"\n" for line in harm(file.read_bytes().splitlines())))
    assert any(told in problem for problem in verify(tmp_path).problems)
    Trail(tmp_path).record("decision", run="later")
    assert verify(tmp_path).problems, "going on must not heal it"


@pytest.mark.parametrize("harm", ["gone", "forged"])
def test_a_head_that_is_gone_or_forged_is_noticed(tmp_path: Path, harm: str) -> None:
    filled(tmp_path)
    head = tmp_path / "audit.head"
    if harm == "gone":
        head.unlink()
    else:
        head.write_text(json.dumps(json.loads(head.read_text()) | {"n": 2}))
    assert any("head" in problem for problem in verify(tmp_path).problems)
    Trail(tmp_path).record("decision", run="later")
    assert any("found broken" in problem for problem in verify(tmp_path).problems)


def test_heads_outside_vouch_for_what_they_saw_and_for_nothing_later(tmp_path: Path) -> None:
    home, heads = tmp_path / "home", tmp_path / "heads.jsonl"
    filled(home, heads)
    found = verify(home, heads)
    # One for the first record, one for that which must last; the interval is not over for the rest.
    assert (found.problems, found.claimed, found.outside) == ((), 5, 1)


def test_whoever_makes_the_whole_state_folder_anew_is_betrayed_by_the_heads_outside(tmp_path: Path) -> None:
    home, heads = tmp_path / "home", tmp_path / "heads.jsonl"
    filled(home, heads)
    for name in ("audit.jsonl", "audit.head"):
        (home / name).unlink()
    filled(home, None, count=8)
    assert verify(home).problems == ()
    assert any("head outside" in problem for problem in verify(home, heads).problems)
    (home / "audit.key").unlink()
    assert any("has signed" in problem for problem in verify(home, heads).problems)


def test_a_place_of_heads_that_is_away_holds_up_nobody(tmp_path: Path) -> None:
    heads = tmp_path / "away" / "heads.jsonl"
    filled(tmp_path / "home", heads)
    assert verify(tmp_path / "home", heads).outside == 6
    heads.parent.mkdir()
    Trail(tmp_path / "home", heads).record("decision")
    assert verify(tmp_path / "home", heads).outside == 0


def test_a_record_that_was_cut_in_its_middle_is_told_and_the_trail_goes_on(tmp_path: Path) -> None:
    file = filled(tmp_path)
    with file.open("ab") as opened:
        opened.write(b'{"n":7,"at":"20')
    assert verify(tmp_path).problems
    Trail(tmp_path).record("decision")
    assert verify(tmp_path).problems == ()
    assert [json.loads(line)["kind"] for line in file.read_bytes().splitlines()][-2:] == ["torn", "decision"]


def test_what_cannot_be_recorded_is_an_error_or_is_told_by_the_next_record(tmp_path: Path) -> None:
    file = filled(tmp_path)
    trail = Trail(tmp_path)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))  # a disk that is nearly full
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            trail.record("decision")
        trail.note("request")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    trail.record("decision")
    assert verify(tmp_path).problems == ()
    last = json.loads(file.read_bytes().splitlines()[-1])
    assert (last["n"], last["lost"]) == (7, 1)


def test_many_processes_write_one_chain(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from osprey_executor.audit import Trail\n"
        "trail = Trail(Path(sys.argv[1]))\n"
        "for number in range(50): trail.record('request', run=str(number))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, env=dict(os.environ)) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (150, ())


def test_hostile_text_is_cut_and_stays_in_its_line(tmp_path: Path) -> None:
    Trail(tmp_path).record("request", task="\n\x1b[2J\u202e\ud800" + "x" * 10_000, channels=["a"] * 1000)
    [line] = exported(tmp_path)
    assert line.isascii()
    assert len(line) < 4000
    assert verify(tmp_path).problems == ()


def test_a_changed_journal_is_noticed_and_one_that_only_grew_is_not(tmp_path: Path) -> None:
    from osprey_executor.audit import journal_mark

    journal = tmp_path / "runs" / "r1" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("one\n")
    Trail(tmp_path).record("execution ended", run="r1", journal=journal_mark(journal))
    journal.write_text("one\ntwo\n")
    assert verify(tmp_path).problems == ()
    journal.write_text("two\none\n")
    assert any("journal of run r1" in problem for problem in verify(tmp_path).problems)
    journal.unlink()
    assert verify(tmp_path).problems
    journal.parent.rmdir()
    assert verify(tmp_path).problems == (), "its run was pruned"


def test_export_begins_at_a_number_or_a_time(tmp_path: Path) -> None:
    filled(tmp_path)
    assert len(list(exported(tmp_path))) == 6
    assert [json.loads(line)["n"] for line in exported(tmp_path, "5")] == [5, 6]
    assert list(exported(tmp_path, "2999-01-01")) == []
    assert len(list(exported(tmp_path, "2001-01-01T00:00"))) == 6
    with pytest.raises(InvalidRequestError, match="neither"):
        list(exported(tmp_path, "yesterday"))
