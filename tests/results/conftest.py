"""Makes recorded runs, as the pipeline does, without running anything."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.models import (
    ControlSystemReport,
    IsolationReport,
    MachineEffects,
    Outcome,
    PythonExecutionRequest,
    Reading,
    Refusal,
    RunResult,
    RunStatus,
    Write,
)
from osprey_executor.results import RunFolder

RUN_ID = "20261123-151200-3f9a"
MakeRun = Callable[..., RunFolder]


def png(width: int = 2, height: int = 2) -> bytes:
    """Return a small valid PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\xff\x00\x00" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """Make this process an ordinary user, whom permissions bind, with a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if was == 0:
                os.seteuid(0)


@pytest.fixture
def figure_bytes() -> bytes:
    return png()


@pytest.fixture
def run_result() -> Callable[..., RunResult]:
    def make(folder: RunFolder, **fields: Any) -> RunResult:
        at = datetime(2026, 11, 23, 15, 12, tzinfo=UTC)
        known: dict[str, Any] = {
            "run_id": folder.run_id,
            "status": RunStatus.SUCCEEDED,
            "task": "measure the orbit",
            "requester": "ada",
            "approver": "grace",
            "digest": "ab" * 32,
            "generator": "mock (scripted)",
            "folder": folder.path,
            "isolation": IsolationReport(level="full", engine="local", proven=True, mechanisms=("seccomp",)),
            "created_at": at,
            "finished_at": at,
        }
        return RunResult(**(known | fields))

    return make


@pytest.fixture
def make_run(tmp_path: Path, run_result: Callable[..., RunResult]) -> MakeRun:
    """Return a function that makes a finished run."""

    def make(
        code: str | bytes = "results = {'a': 1}\n",
        *,
        home: Path | None = None,
        run_id: str = RUN_ID,
        results: Mapping[str, Any] | None = None,
        stdout: str = "",
        stderr: str = "",
        files: Mapping[str, bytes] | None = None,
        figures: Sequence[bytes] = (),
        reads: Sequence[Reading] = (),
        writes: Sequence[Write] = (),
        refusals: Sequence[Refusal] = (),
        inputs: Mapping[str, Path | bytes] | None = None,
        context: Mapping[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> RunFolder:
        folder = RunFolder.create(home or tmp_path / "home", run_id)
        task = fields.get("task", "measure the orbit")
        folder.save_request(
            PythonExecutionRequest(user_query=task, inputs=inputs or {}, capability_context_data=dict(context or {}))
        )
        folder.attempt(1).save_code(code)
        work = folder.execution_folder(1)
        made: list[Path] = []
        for name, data in (files or {}).items():
            path = work / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            made.append(path)
        drawn: list[Path] = []
        for number, data in enumerate(figures):
            path = work / f"{number}.png"
            path.write_bytes(data)
            drawn.append(path)
        effects = MachineEffects.WRITTEN if writes else MachineEffects.NONE
        known: dict[str, Any] = {
            "status": RunStatus.SUCCEEDED,
            "results": dict(results or {}),
            "has_results": results is not None,
            "stdout": stdout,
            "stderr": stderr,
            "figures": tuple(drawn),
            "artifacts": tuple(made),
        }
        folder.attempt(1).save_outcome(
            Outcome(**(known | dict(outcome or {}))),
            root=work / "out",
            reads=reads,
            writes=writes,
            refusals=refusals,
            effects=effects,
        )
        folder.finish(run_result(folder, effects=effects, **fields), control_system=ControlSystemReport(type="mock"))
        return folder

    return make
