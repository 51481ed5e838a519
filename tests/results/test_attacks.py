"""What hostile code, broken disks and other processes do to a run folder."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from osprey_executor.errors import StorageError
from osprey_executor.models import Outcome, Reading, RunResult, RunStatus
from osprey_executor.results import RunFolder, _files, load_reads
from osprey_executor.results._names import Names

MakeRun = Callable[..., RunFolder]
MakeResult = Callable[..., RunResult]


def keep(folder: RunFolder, root: Path, paths: list[Path], **fields: Any) -> Outcome:
    folder.attempt(1).save_code("x\n")
    return folder.attempt(1).save_outcome(
        Outcome(status=RunStatus.SUCCEEDED, artifacts=tuple(paths), **fields), root=root
    )


def test_ten_thousand_artifacts(make_run: MakeRun) -> None:
    files = {f"d{n % 100}/file-{n}.txt": b"%d" % n for n in range(10_000)}
    folder = make_run(files=files)
    result = folder.load_result()
    assert len(result.artifacts) == 10_000
    assert result.artifacts[9_999].read_bytes() == b"9999"
    assert (folder.path / "notebook.ipynb").stat().st_size < 100_000


def test_names_that_deceive_are_kept_readable(home: Path) -> None:
    folder = RunFolder.create(home, "r")
    root = folder.execution_folder(1)
    names = [
        b"new\nline",
        b"new\\nline",
        b"\xff\xfe.bin",
        "gnp.\u202eexe".encode(),
        b"\x1b[2J",
        b"-rf",
        b"x" * 255,
        b"x" * 250 + b".long",
        "é".encode(),
        "combining\u0301\u0301\u0301\u0301\u0301".encode(),
        b" ",
        b".manifest",
    ]
    paths: list[Path] = []
    for name in names:
        path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
        path.write_bytes(name)
        paths.append(path)
    kept = keep(folder, root, paths)
    assert [path.read_bytes() for path in kept.artifacts] == names
    for path in kept.artifacts:
        assert path.name.isprintable(), path.name
        path.name.encode("utf-8")
    assert folder.attempt(1).outcome().artifacts == kept.artifacts


def test_artifacts_keep_their_place_below_the_engines_folder(home: Path) -> None:
    folder = RunFolder.create(home, "r")
    root = folder.execution_folder(1)
    (root / "artifacts" / "artifacts").mkdir(parents=True)
    paths = [root / "artifacts" / "artifacts" / "x", root / "artifacts" / "y"]
    for path in paths:
        path.write_bytes(b"1")
    kept = keep(folder, root, paths)
    base = folder.path / "attempts/1/artifacts"
    assert kept.artifacts == (base / "artifacts" / "x", base / "y")


def test_a_name_never_leads_out_or_over_another() -> None:
    names = Names()
    given = ["../../etc/passwd", "/etc/passwd", "a", "a", "a/b", "A", "c/d", "c", "..", ""]
    made = [names.keep(PurePosixPath(each)) for each in given]
    assert len({str(path) for path in made}) == len(given)
    for path in made:
        assert not path.is_absolute()
        assert ".." not in path.parts
    taken = {str(path) for path in made}
    assert not any(str(parent) in taken for path in made for parent in path.parents)


def test_links_fifos_and_folders_are_not_taken_in(home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder = RunFolder.create(home, "r")
    root = folder.execution_folder(1)
    (root / "link").symlink_to(secret)
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    (root / "good").write_bytes(b"good")
    kept = keep(folder, root, [root / name for name in ("link", "fifo", "folder", "gone", "good")])
    assert [path.name for path in kept.artifacts] == ["good"]
    assert len(kept.notes) == 4
    assert all("was left out" in note for note in kept.notes)
    assert secret.read_bytes() == b"secret"
    assert not any(path.is_symlink() for path in folder.path.rglob("*") if "executions" not in path.parts)


def test_a_link_planted_where_the_record_writes_is_not_followed(home: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    folder = RunFolder.create(home, "r")
    attempt = _files.make_folder(folder.path / "attempts" / "1")
    (attempt / "stdout.txt").symlink_to(victim)
    (attempt / "code.py").symlink_to(victim)
    keep(folder, folder.execution_folder(1), [], stdout="new")
    assert victim.read_bytes() == b"untouched"
    assert (attempt / "stdout.txt").read_text() == "new"
    (attempt / "stderr.txt").unlink()
    (attempt / "stderr.txt").symlink_to(victim)
    with pytest.raises(StorageError, match=r"stderr.txt cannot be read: it is a symbolic link"):
        folder.attempt(1).outcome()


def test_a_linked_folder_is_removed_not_emptied(home: Path, tmp_path: Path, run_result: MakeResult) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    folder = RunFolder.create(home, "r")
    work = folder.execution_folder(1)
    (work / "out").symlink_to(outside)
    (work / "locked").mkdir(mode=0o000)
    keep(folder, work, [])
    folder.finish(run_result(folder))
    assert (outside / "precious").exists()
    assert not (folder.path / "executions").exists()


def test_results_of_100_mb_are_kept_with_bounded_notebook_and_memory(home: Path) -> None:
    code = """
import sys, resource, numpy as np
from pathlib import Path, PurePosixPath
from datetime import datetime, UTC
from osprey_executor.results import RunFolder, result_to_json
from osprey_executor.models import *
folder = RunFolder.create(Path(sys.argv[1]), "big")
folder.attempt(1).save_code("x")
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
values = {"a": np.zeros(100 * 2**17)}
folder.attempt(1).save_outcome(Outcome(status=RunStatus.SUCCEEDED, results=values, has_results=True))
folder.finish(RunResult(run_id="big", status=RunStatus.SUCCEEDED, folder=folder.path, created_at=datetime.now(UTC)))
assert folder.load_result().results["a"].nbytes == 100 * 2**20
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""
    command = [sys.executable, "-c", code, str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert int(ended.stdout) < 1000, "MiB"
    assert (home / "runs/big/notebook.ipynb").stat().st_size < 20_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"{"),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"version": 9}'),
        ("manifest.json", b"[" * 100_000),
        ("manifest.json", None),
        ("code.py", b"import os"),
        ("code.py", None),
        ("results.json", b"{}"),
        ("results.json", None),
        ("results.blobs/0000.npy", b"other"),
        ("results.blobs/0000.npy", None),
        ("attempts/1/stdout.txt", b"forged"),
        ("attempts/1/stdout.txt", None),
    ],
)
def test_damage_is_told_with_the_name_of_the_file(make_run: MakeRun, name: str, content: bytes | None) -> None:
    folder = make_run(results={"a": np.arange(100)}, stdout="x")
    path = folder.path / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        folder.load_result()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_points_outside_is_damaged(make_run: MakeRun) -> None:
    folder = make_run(files={"x": b"1"})
    path = folder.path / "manifest.json"
    told = json.loads(path.read_text())
    for forged in ("/etc/passwd", "../../x", "a/../../b"):
        path.write_text(json.dumps(told | {"artifacts": [forged]}))
        with pytest.raises(StorageError, match=r"manifest.json is damaged"):
            folder.load_result()


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"channel": "a"}', b'{"channel": "a", "value": {"$type": "?"}}', b"\xff"]
)
def test_damaged_readings_are_told(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "reads.jsonl"
    path.write_bytes(b'{"channel": "a", "value": 1}\n' + line + b"\n")
    with pytest.raises(StorageError, match=r"reads.jsonl is damaged: line 2 is not a reading"):
        load_reads(path)


def test_a_deleted_folder_is_told(make_run: MakeRun) -> None:
    folder = make_run()
    shutil.rmtree(folder.path)
    with pytest.raises(StorageError, match="is missing: the run folder was moved or deleted"):
        folder.load_result()
    with pytest.raises(StorageError, match=r"request.json cannot be read: it is missing"):
        folder.load_request()
    with pytest.raises(StorageError, match=r"outcome.json cannot be read: it is missing"):
        folder.attempt(1).outcome()


def test_a_state_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be made: a part of its path is not a folder"):
        RunFolder.create(tmp_path / "home", "r")


def test_an_unwritable_state_folder_is_told(ordinary_user: Path) -> None:
    (ordinary_user / "home").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="permission denied"):
        RunFolder.create(ordinary_user / "home", "r")


def test_what_a_program_locked_is_taken_in_and_cleared_away(ordinary_user: Path, run_result: MakeResult) -> None:
    folder = RunFolder.create(ordinary_user / "home", "r")
    root = folder.execution_folder(1)
    (root / "locked").mkdir()
    (root / "locked" / "file").write_bytes(b"x")
    (root / "locked").chmod(0o500)
    (root / "closed").mkdir(mode=0o000)
    (root / "unreadable").touch(mode=0o000)
    kept = keep(folder, root, [root / "locked" / "file", root / "unreadable"])
    assert [path.read_bytes() for path in kept.artifacts] == [b"x"]
    assert "unreadable was left out: permission denied" in kept.notes[0]
    folder.finish(run_result(folder))
    assert not (folder.path / "executions").exists()


def test_a_read_only_place_is_told() -> None:
    with pytest.raises(StorageError, match="cannot be made: "):
        RunFolder.create(Path("/proc/nowhere"), "r")


def test_a_full_disk_is_told_and_the_old_file_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = RunFolder.create(home, "r")
    folder.attempt(1).save_code("old\n")
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_relative_to(home.resolve()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match=r"code.py cannot be written: the disk is full; free some space"):
        folder.attempt(1).save_code("new\n")
    monkeypatch.undo()
    assert (folder.path / "attempts/1/code.py").read_text() == "old\n"
    assert [path.name for path in (folder.path / "attempts/1").iterdir()] == ["code.py"]


def test_a_file_size_limit_is_told_too(home: Path) -> None:
    """A real refusal of the kernel: RLIMIT_FSIZE, in a process of its own."""
    code = (
        "import sys, resource, signal; from pathlib import Path; from osprey_executor.results import RunFolder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "RunFolder.create(Path(sys.argv[1]), 'r').attempt(1).save_code('x' * 5000)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=60)
    assert "StorageError" in ended.stderr
    assert "code.py cannot be written: file too large" in ended.stderr
    assert list((home / "runs/r/attempts/1").iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_two_processes_writing_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    code = (
        "import sys; from pathlib import Path; from osprey_executor.results import _files\n"
        "for _ in range(60): _files.write(Path(sys.argv[1]), sys.argv[2].encode() * 200_000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter]) for letter in "ab"]
    try:
        while any(writer.poll() is None for writer in writers):
            if path.exists():
                data = path.read_bytes()
                assert len(data) == 200_000
                assert len(set(data)) == 1
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [each.name for each in tmp_path.iterdir()] == ["manifest.json"]


def test_many_names_that_become_the_same_take_no_time() -> None:
    names = Names()
    made = {names.keep(PurePosixPath("x" * 240 + str(number))) for number in range(10_000)}
    assert len(made) == 10_000


def test_surrogates_and_strange_channels_do_not_break_the_record(make_run: MakeRun) -> None:
    folder = make_run(
        results={"x": "\ud800", "y": ["\udcff"]},
        stdout="\\ud800",
        reads=[Reading(channel="a\nb{}[]\u202e", value="\ud800")],
    )
    assert folder.load_result().results["x"] == "\ud800"
    assert folder.attempt(1).reads()[0].value == "\ud800"
    (folder.path / "notebook.ipynb").read_text("utf-8")
