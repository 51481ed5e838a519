"""What of an example library is copied, and the folder that it is copied to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from osprey_executor.errors import ConfigurationError
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
    other = tmp_path / "other" / "plots"
    other.mkdir(parents=True)
    (other / "a.py").write_text("another")
    target = tmp_path / "target"
    assert copy_libraries({"ours": LibraryConfig(directories=(library, other))}, target) == 3
    copied = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert copied == {"ours/plots/a.py": "a", "ours/plots/inner/b.py": "b", "ours/plots-2/a.py": "another"}
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {path.stat().st_mode & 0o222 for path in (target / "ours" / "plots").rglob("*")} == {0}


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_BYTES"])
def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    for number in range(3):
        (library / f"{number}.py").write_text("x")
    monkeypatch.setattr(_examples, bound, 2)
    with pytest.raises(ConfigurationError, match=r"codebase_guidance\.ours\.directories.*name narrower directories"):
        copy_libraries({"ours": LibraryConfig(directories=(library,))}, tmp_path / "target")


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
