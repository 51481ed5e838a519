"""What a hostile folder may hold never leads out of it, and never fills the disk."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from osprey_executor.execution.local._collect import Collected, collect, why_not


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(source: Path) -> Generator[int]:
    descriptor = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def take(opened: int, target: Path, most_bytes: int = 1 << 20, most_files: int = 100) -> Collected:
    return collect(opened, target, most_bytes=most_bytes, most_files=most_files)


def test_files_are_copied_in_the_order_of_their_names(source: Path, opened: int, tmp_path: Path) -> None:
    (source / "b.txt").write_bytes(b"2")
    (source / "a" / "deep").mkdir(parents=True)
    (source / "a" / "deep" / "x").write_bytes(b"1")
    (source / "b.txt").chmod(0o755)
    found = take(opened, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found.paths] == ["a/deep/x", "b.txt"]
    assert found.notes == []
    assert (tmp_path / "out" / "b.txt").stat().st_mode & 0o111 == 0


def test_an_empty_folder_makes_nothing(opened: int, tmp_path: Path) -> None:
    assert take(opened, tmp_path / "out").paths == []
    assert not (tmp_path / "out").exists()


def test_links_are_not_followed(source: Path, opened: int, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (source / "file").symlink_to(secret)
    (source / "folder").symlink_to(tmp_path)
    (source / "inputs").symlink_to("../inputs")
    found = take(opened, tmp_path / "out")
    assert found.paths == []
    assert len(found.notes) == 2


def test_hidden_characters_in_names_are_written_out(source: Path, opened: int, tmp_path: Path) -> None:
    for name in ("\x1b[2J", "a\nb", "\u202egnp.exe", os.fsdecode(b"\xff")):
        (source / name).write_bytes(b"x")
    found = take(opened, tmp_path / "out")
    assert sorted(path.name for path in found.paths) == [r"\u202egnp.exe", r"\udcff", r"\x1b[2J", r"a\nb"]
    assert all(note.isprintable() for note in found.notes)
    assert len(found.notes) == 4


def test_names_that_become_equal_stay_apart(source: Path, opened: int, tmp_path: Path) -> None:
    (source / "\x01").write_bytes(b"1")
    (source / r"\x01").write_bytes(b"2")
    found = take(opened, tmp_path / "out")
    assert sorted(path.read_bytes() for path in found.paths) == [b"1", b"2"]


def test_sparse_files_and_hard_links_are_bounded(source: Path, opened: int, tmp_path: Path) -> None:
    with (source / "a-sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    (source / "b").write_bytes(b"x" * 600_000)
    for number in range(5):
        os.link(source / "b", source / f"c{number}")
    found = take(opened, tmp_path / "out")
    assert [path.name for path in found.paths] == ["b"]
    assert len(found.notes) == 6


def test_count_and_depth_are_bounded(source: Path, opened: int, tmp_path: Path) -> None:
    for number in range(20):
        (source / f"{number:02d}").write_bytes(b"")
    assert len(take(opened, tmp_path / "few", most_files=5).paths) == 5
    deep = source
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "x").write_bytes(b"x")
    found = take(opened, tmp_path / "deep")
    assert any("nested too deeply" in note for note in found.notes)


def test_many_notes_are_summed_up(source: Path, opened: int, tmp_path: Path) -> None:
    for number in range(50):
        os.mkfifo(source / f"pipe{number}")
    found = take(opened, tmp_path / "out")
    assert len(found.notes) == 21
    assert "30 more" in found.notes[-1]


def test_a_destination_that_cannot_be_written_costs_the_files_alone(source: Path, opened: int, tmp_path: Path) -> None:
    (source / "a").write_bytes(b"x")
    (tmp_path / "out").write_text("a file")
    found = take(opened, tmp_path / "out")
    assert found.paths == []
    assert found.notes == ["artifact left out: a: File exists"]


@contextmanager
def small_files() -> Generator[None]:
    """No file of this process may grow beyond 4 KiB, so that a copy breaks off in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_that_breaks_off_is_removed_and_told(source: Path, opened: int, tmp_path: Path) -> None:
    for name, size in (("a", 10), ("b", 60_000), ("c", 0), ("d", 10)):
        (source / name).write_bytes(b"x" * size)
    with small_files():
        found = take(opened, tmp_path / "out")
    assert [path.name for path in found.paths] == ["a", "c", "d"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c", "d"]
    assert found.notes == ["artifact left out: b: File too large"]


def test_a_full_disk_is_named() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert "the disk of the service is full" in why_not(OSError(number, os.strerror(number)))
