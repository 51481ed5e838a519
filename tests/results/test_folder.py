"""The record of a run: written once, read back the same, by another process too."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.models import (
    AlarmSeverity,
    AnalysisReport,
    Attempt,
    ControlSystemReport,
    ErrorReport,
    MachineEffects,
    Outcome,
    PythonExecutionRequest,
    Reading,
    Refusal,
    RunResult,
    RunStatus,
    Stage,
    Timings,
    Usage,
    Write,
)
from osprey_executor.results import RunFolder, load_reads, result_to_json, save_reads

MakeRun = Callable[..., RunFolder]
MakeResult = Callable[..., RunResult]


def test_a_finished_run_comes_back_as_it_was(make_run: MakeRun, figure_bytes: bytes) -> None:
    error = ErrorReport(stage=Stage.EXECUTION, type="ValueError", message="bad", line=1, code="x")
    folder = make_run(
        "x = 1\n",
        results={"rms": 1.5, "orbit": np.arange(3.0), "nan": math.nan, "frame": pd.DataFrame({"a": [1, 2]})},
        stdout="out\n",
        stderr="err\n",
        files={"data.csv": b"1,2", "deep/er/x.bin": b"\x00"},
        figures=[figure_bytes],
        writes=[Write(channel="c", value="1", previous="0", confirmed=True)],
        refusals=[Refusal(channel="d", value="2", reason="no", line=3)],
        status=RunStatus.FAILED,
        error=error,
        notes=("from the pipeline",),
        timings=Timings(total=3.0),
        analysis=AnalysisReport(reason="harmless"),
        outcome={"usage": Usage(wall_seconds=2.0), "notes": ("from the engine",), "partial": True},
    )
    result = RunFolder(folder.path.parents[1], folder.run_id).load_result()
    assert result.status is RunStatus.FAILED
    assert result.effects is MachineEffects.WRITTEN
    assert result.results["rms"] == 1.5
    assert result.results["orbit"].tolist() == [0.0, 1.0, 2.0]
    assert math.isnan(result.results["nan"])
    assert result.results["frame"].equals(pd.DataFrame({"a": [1, 2]}))
    assert (result.stdout, result.stderr, result.code) == ("out\n", "err\n", "x = 1\n")
    assert [path.relative_to(folder.path).as_posix() for path in result.artifacts] == [
        "artifacts/data.csv",
        "artifacts/deep/er/x.bin",
    ]
    assert [path.read_bytes() for path in result.artifacts] == [b"1,2", b"\x00"]
    assert [path.read_bytes() for path in result.figures] == [figure_bytes]
    assert all(path.is_absolute() for path in (*result.artifacts, *result.figures, result.folder))
    assert result.error == error.model_copy(update={"code": "x = 1\n"})
    assert result.notes == ("from the pipeline", "from the engine")
    assert result.partial
    assert result.usage.wall_seconds == 2.0
    assert result.timings.total == 3.0
    assert result.analysis == AnalysisReport(reason="harmless")
    assert (result.requester, result.approver, result.digest) == ("ada", "grace", "ab" * 32)
    assert result.refusals[0].reason == "no"
    assert result.writes[0].previous == "0"
    assert result.attempts[0].code == "x = 1\n"


def test_finishing_twice_is_the_same(make_run: MakeRun, run_result: MakeResult, figure_bytes: bytes) -> None:
    folder = make_run(results={"a": np.ones(2)}, files={"x": b"1"}, figures=[figure_bytes])
    before = folder.manifest()
    again = folder.finish(run_result(folder), control_system=ControlSystemReport(type="mock"))
    assert folder.manifest() == before
    assert again.results["a"].tolist() == [1.0, 1.0]
    assert again.artifacts[0].read_bytes() == b"1"


def test_another_process_reads_it(make_run: MakeRun) -> None:
    folder = make_run(results={"a": np.arange(2)})
    code = (
        "import sys, json; from pathlib import Path; from osprey_executor.results import RunFolder, result_to_json\n"
        "print(json.dumps(result_to_json(RunFolder(Path(sys.argv[1]), sys.argv[2]).load_result())))"
    )
    command = [sys.executable, "-c", code, str(folder.path.parents[1]), folder.run_id]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert told["run_id"] == folder.run_id
    assert set(told) == set(RunResult.model_fields)


def test_the_manifest_names_every_file_with_its_digest(make_run: MakeRun, figure_bytes: bytes) -> None:
    folder = make_run(
        results={"a": np.arange(9)}, files={".hidden": b"h"}, figures=[figure_bytes], inputs={"i": b"input"}
    )
    listed = {entry.path: entry for entry in folder.manifest().files}
    there = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()} - {"manifest.json"}
    assert set(listed) == there
    for name, entry in listed.items():
        data = (folder.path / name).read_bytes()
        assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    manifest = folder.manifest()
    assert manifest.control_system == ControlSystemReport(type="mock")
    assert manifest.final_attempt == 1


def test_the_folder_is_private(make_run: MakeRun) -> None:
    folder = make_run(files={"x": b"1"})
    for path in [folder.path.parents[1], folder.path.parents[0], folder.path, *folder.path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("moved", [True, False])
def test_the_record_of_what_touched_the_machine_is_written_to_the_disk(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    flushed: set[Path] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        flushed.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    folder = make_run(writes=[Write(channel="X", value="1", confirmed=True)] if moved else ())
    files = {path for path in folder.path.rglob("*") if not path.name.endswith(".lock")}
    assert flushed == ({folder.path, *files} if moved else set())


@pytest.mark.parametrize(
    "source",
    [
        "a = '''\r\n'''\r\n",
        "\ufeffx = 1",
        "x = 'é'",
        "",
        "x = 1\n" * 200_000,
        b"# coding: latin-1\nx = '\xe9'\n",
        b"\xff\x00",
    ],
)
def test_code_is_kept_byte_for_byte(home: Path, source: str | bytes) -> None:
    folder = RunFolder.create(home, "r")
    folder.attempt(1).save_code(source, AnalysisReport())
    expected = source if isinstance(source, bytes) else source.encode()
    assert (folder.path / "attempts/1/code.py").read_bytes() == expected


def test_a_request_comes_back(home: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_bytes(b"1,2\n")
    (tmp_path / "link").symlink_to(given)
    request = PythonExecutionRequest(
        user_query="do it",
        inputs={"a.csv": given, "b": b"bytes", "linked": tmp_path / "link", "ü\u202e": b"x"},
        capability_context_data={"m": {"gain": 0.5, "t": np.eye(2), "when": datetime(2026, 1, 1, tzinfo=UTC)}},
        expected_results={"a": "float", "b": {"c": "<dict>"}},
        capability_prompts=("be kind",),
        retries=2,
        requester="ada",
        code="x = 1",
    )
    folder = RunFolder.create(home, "r")
    digests = folder.save_request(request)
    assert digests["a.csv"] == hashlib.sha256(b"1,2\n").hexdigest()
    given.write_bytes(b"changed")
    back = RunFolder(home, "r").load_request()
    same = {"user_query", "task_objective", "expected_results", "capability_prompts", "retries", "requester", "code"}
    assert back.model_dump(include=same) == request.model_dump(include=same)
    assert back.capability_context_data["m"]["t"].tolist() == np.eye(2).tolist()
    assert back.capability_context_data["m"]["when"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert {name: Path(path).read_bytes() for name, path in folder.inputs().items()} == {
        "a.csv": b"1,2\n",
        "b": b"bytes",
        "linked": b"1,2\n",
        "ü\u202e": b"x",
    }
    assert folder.input_digests() == digests


def test_inputs_that_are_no_files_are_refused(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    folder = RunFolder.create(home, "r")
    cases = {
        "fifo": "not a regular file",
        "folder": "not a regular file",
        "dangling": "no such file",
        "nowhere": "no such file",
        "/dev/zero": "not a regular file",
        "nowhere/below": "no such file",
    }
    for name, why in cases.items():
        with pytest.raises(InvalidRequestError, match=f"input 'x' .* cannot be read: .*{why}"):
            folder.save_request(PythonExecutionRequest(user_query="q", inputs={"x": tmp_path / name}))


def test_an_unreadable_input_is_refused(ordinary_user: Path) -> None:
    secret = ordinary_user / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0)
    folder = RunFolder.create(ordinary_user / "home", "r")
    with pytest.raises(InvalidRequestError, match="permission denied"):
        folder.save_request(PythonExecutionRequest(user_query="q", inputs={"x": secret}))


def test_inputs_too_large_are_refused_before_they_are_copied(home: Path, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(InvalidRequestError, match=r"too large.*more than 1 GiB"):
        RunFolder.create(home, "r").save_request(
            PythonExecutionRequest(user_query="q", inputs={"x": tmp_path / "sparse"})
        )
    assert not (home / "runs/r/inputs/x").exists()


def test_a_context_that_is_no_data_is_refused(home: Path) -> None:
    with pytest.raises(InvalidRequestError, match="capability_context_data cannot be handed to the program"):
        RunFolder.create(home, "r").save_request(
            PythonExecutionRequest(user_query="q", capability_context_data={"x": object()})
        )


def test_readings_come_back(tmp_path: Path) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    readings = [
        Reading(channel="a", value=1.5, units="mm", severity=AlarmSeverity.MINOR, timestamp=at),
        Reading(channel="a\n{}", value="text\u202e"),
        Reading(channel="b", value=np.arange(4, dtype=np.int32)),
        Reading(channel="c", value=math.inf),
    ]
    assert save_reads(tmp_path / "reads.jsonl", readings) == 0
    back = load_reads(tmp_path / "reads.jsonl")
    assert len((tmp_path / "reads.jsonl").read_bytes().splitlines()) == 4
    assert back[0] == readings[0]
    assert back[1] == readings[1]
    assert back[2].value.dtype == np.int32
    assert back[2].value.tolist() == [0, 1, 2, 3]
    assert back[3].value == math.inf


def test_readings_beyond_the_cap_are_counted(tmp_path: Path) -> None:
    readings = [Reading(channel="a", value=np.zeros(1000))] * 10
    assert save_reads(tmp_path / "r", readings, most_bytes=30_000) == 8
    assert len(load_reads(tmp_path / "r")) == 2
    assert b'"left_out": 8' in (tmp_path / "r").read_bytes()


def test_the_last_attempt_gives_the_result(home: Path, run_result: MakeResult) -> None:
    folder = RunFolder.create(home, "r")
    folder.save_request(PythonExecutionRequest(user_query="q"))
    folder.attempt(1).save_code("one\n")
    failed = ErrorReport(stage=Stage.EXECUTION, type="E", message="m")
    folder.attempt(1).save_outcome(Outcome(status=RunStatus.FAILED, stdout="1", error=failed))
    folder.attempt(2).save_code("two\n")
    folder.attempt(2).save_outcome(Outcome(status=RunStatus.SUCCEEDED, stdout="2", results={"n": 2}, has_results=True))
    told = (Attempt(number=3, code="", error=failed),)
    result = folder.finish(run_result(folder, attempts=told))
    assert (result.code, result.stdout, result.results) == ("two\n", "2", {"n": 2})
    back = folder.load_result()
    assert [attempt.status for attempt in back.attempts] == [RunStatus.FAILED, RunStatus.SUCCEEDED, None]
    assert back.attempts[0].error == failed
    assert back.attempts[2].code == ""
    assert (back.code, back.stdout) == ("two\n", "2")


def test_a_run_without_any_program_has_a_record_too(home: Path, run_result: MakeResult) -> None:
    folder = RunFolder.create(home, "r")
    folder.finish(run_result(folder, status=RunStatus.FAILED))
    result = folder.load_result()
    assert result.code is None
    assert result.notebook_path is None
    assert result.attempts == ()


def test_json_of_a_result_is_strict(make_run: MakeRun) -> None:
    folder = make_run(results={"nan": math.nan, "big": np.zeros(100_000), "z": 1j})
    told = result_to_json(folder.load_result())
    text = json.dumps(told, allow_nan=False)
    assert len(text) < 100_000
    assert told["status"] == "succeeded"
    assert told["folder"] == str(folder.path)
    assert told["created_at"].startswith("2026-11-23T15:12:00")
    assert told["isolation"]["proven"] is True


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\x00b"])
def test_a_run_id_stays_inside_the_state_folder(home: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of a run folder"):
        RunFolder(home, name)


def test_nothing_is_touched_before_it_is_asked_for(home: Path) -> None:
    folder: Any = RunFolder(home, "r")
    assert not home.exists()
    with pytest.raises(StorageError, match=r"runs/r is missing: the run folder was moved or deleted"):
        folder.load_result()
