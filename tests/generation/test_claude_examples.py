"""What of an example library is copied, and the folder that it is copied to."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from osprey_executor.errors import ConfigurationError, GeneratorUnavailableError
from osprey_executor.generation.claude_code import _examples, _scratch
from osprey_executor.generation.claude_code._examples import copy_libraries
from osprey_executor.generation.claude_code._schema import LibraryConfig


def test_plain_files_are_copied_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    library = tmp_path / "lib" / "plots"
    (library / "inner").mkdir(parents=True)
    (library / "a.py").write_text("a")
    (library / "inner" / "b.py").write_text("b")
    (library / ".env").write_text("KEY=1")
    (library / "big.bin").write_bytes(b"x" * (_examples.MOST_BYTES_A_FILE + 1))
    (library / "link.txt").symlink_to(secret)
    (library / "folder").symlink_to(tmp_path)
    os.mkfifo(library / "pipe")
    os.link(library / "a.py", library / "same.py")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(library / "socket"))
    other = tmp_path / "other" / "plots"
    other.mkdir(parents=True)
    (other / "a.py").write_text("another")
    target = tmp_path / "target"
    assert copy_libraries({"ours": LibraryConfig(directories=(library, other))}, target) == 4
    copied = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert copied == {
        "ours/plots/a.py": "a",
        "ours/plots/same.py": "a",
        "ours/plots/inner/b.py": "b",
        "ours/plots-2/a.py": "another",
    }
    # A copy, through which the library cannot be changed.
    assert {path.stat().st_nlink for path in target.rglob("*") if path.is_file()} == {1}
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {path.stat().st_mode & 0o222 for path in (target / "ours" / "plots").rglob("*")} == {0}


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_BYTES", "MOST_ENTRIES"])
def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    for number in range(3):
        (library / f"{number}.py").write_text("x")
    monkeypatch.setattr(_examples, bound, 2)
    with pytest.raises(ConfigurationError, match=r"codebase_guidance\.ours\.directories.*name narrower directories"):
        copy_libraries({"ours": LibraryConfig(directories=(library,))}, tmp_path / "target")


def test_devices_are_not_read(tmp_path: Path) -> None:
    assert copy_libraries({"ours": LibraryConfig(directories=(Path("/dev/pts"),))}, tmp_path / "target") == 0


def test_a_library_that_changes_meanwhile_is_copied_as_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"
    (library / "m").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "inner.py").write_text("secret")
    for name in ("a.py", "b.py", "c.py", "m/inner.py", "z.py"):
        (library / name).write_text(name)
    read = _examples._content  # pyright: ignore[reportPrivateUsage]

    def changing(folder: int, name: str) -> bytes | None:
        if name == "a.py":
            (library / "b.py").unlink()
            (library / "c.py").unlink()
            (library / "c.py").symlink_to(secret / "inner.py")
            shutil.rmtree(library / "m")
            (library / "m").symlink_to(secret)
        return read(folder, name)

    monkeypatch.setattr(_examples, "_content", changing)
    assert copy_libraries({"ours": LibraryConfig(directories=(library,))}, tmp_path / "target") == 2
    copied = {path.name: path.read_text() for path in (tmp_path / "target").rglob("*.py")}
    assert copied == {"a.py": "a.py", "z.py": "z.py"}


def test_copies_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(GeneratorUnavailableError, match=r"library ours cannot be copied to .*: Not a directory; make"):
        copy_libraries({"ours": LibraryConfig(directories=(tmp_path / "lib",))}, tmp_path / "file")


async def test_a_copy_that_is_no_longer_wanted_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    for number in range(5):
        (library / f"{number}.py").touch()
    reading, go_on = threading.Event(), threading.Event()

    def slow(folder: int, name: str) -> bytes:
        reading.set()
        assert go_on.wait(60)
        return b""

    monkeypatch.setattr(_examples, "_content", slow)
    async with _examples.copied({"ours": LibraryConfig(directories=(library,))}, tmp_path / "target") as copying:
        await asyncio.to_thread(reading.wait, 60)
        asyncio.get_running_loop().call_soon(go_on.set)
    assert await copying == 1


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"codebase_guidance\.ours\.directories: .*nowhere cannot be read"):
        copy_libraries({"ours": LibraryConfig(directories=(tmp_path / "nowhere",))}, tmp_path / "target")


async def test_what_a_killed_service_left_is_removed_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(_scratch, "_SECONDS_TO_LOCK", -1)
    left = tmp_path / "osprey-executor-claude-left"
    (left / "work" / "lib").mkdir(parents=True)
    (left / "work" / "lib").chmod(0o555)
    async with _scratch.scratch(keep=False) as first, _scratch.scratch(keep=False) as second:
        assert set(tmp_path.iterdir()) == {first.top, second.top}
    assert list(tmp_path.iterdir()) == []
