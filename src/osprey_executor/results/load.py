"""A finished run back from its folder, checked against its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from osprey_executor.errors import StorageError
from osprey_executor.models import Attempt, RunResult
from osprey_executor.results import _files, _json_files
from osprey_executor.results._values import load_values
from osprey_executor.results.attempts import MOST_TEXT
from osprey_executor.results.manifest import Manifest


def load_manifest(folder: Path) -> Manifest:
    """Return the manifest of a finished run.

    Raises:
        StorageError: there is none, or it is damaged.
    """
    path = folder / "manifest.json"
    if not folder.is_dir():
        raise StorageError(f"{folder} is missing: the run folder was moved or deleted")
    if not path.exists():
        raise StorageError(f"{path} is missing: the run has not ended, or its record was never completed")
    try:
        return Manifest.model_validate(_json_files.read(path, most_bytes=MOST_TEXT))
    except ValidationError as error:
        raise _files.damaged(path, f"it is not a manifest ({error.error_count()} fields are not as written)") from error


def load_result(folder: Path) -> RunResult:
    """Return the result of a finished run with its results decoded.

    Raises:
        StorageError: the run is not finished, or a file is missing or damaged; the message names it.
    """
    manifest = load_manifest(folder)
    reader = _Reader(folder, manifest)
    attempts = tuple(
        Attempt(
            number=entry.number,
            code=reader.text(f"attempts/{entry.number}/code.py"),
            status=entry.status,
            error=entry.error,
            generation=entry.generation,
            notebook_path=folder / entry.notebook if entry.notebook else None,
        )
        for entry in manifest.attempts
    )
    final = manifest.final_attempt
    code = reader.text("code.py") if final is not None else None
    return RunResult(
        run_id=manifest.run_id,
        status=manifest.status,
        effects=manifest.effects,
        task=manifest.task,
        requester=manifest.requester,
        approver=manifest.approver,
        proof=manifest.proof,
        digest=manifest.digest,
        refusals=manifest.refusals,
        writes=manifest.writes,
        results=reader.values("results.json"),
        stdout=reader.text(f"attempts/{final}/stdout.txt"),
        stderr=reader.text(f"attempts/{final}/stderr.txt"),
        figures=tuple(folder / name for name in manifest.figures),
        artifacts=tuple(folder / name for name in manifest.artifacts),
        notebook_path=folder / manifest.notebook if manifest.notebook else None,
        folder=folder,
        code=code,
        generator=manifest.generator,
        attempts=attempts,
        analysis=manifest.analysis,
        isolation=manifest.isolation,
        control_system=manifest.control_system,
        error=manifest.error.model_copy(update={"code": code}) if manifest.error else None,
        memory=manifest.memory,
        notes=manifest.notes,
        partial=manifest.partial,
        usage=manifest.usage,
        timings=manifest.timings,
        created_at=manifest.created_at,
        finished_at=manifest.finished_at,
    )


class _Reader:
    """Reads files of the record that the manifest lists, and no others; each must be what was written."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._listed = {entry.path: entry.sha256 for entry in manifest.files}

    def text(self, name: str) -> str:
        if name not in self._listed:
            return ""
        path = self._folder / name
        data = _files.read(path, most_bytes=MOST_TEXT)
        self._check(path, name, hashlib.sha256(data).hexdigest())
        return data.decode("utf-8", "backslashreplace")

    def values(self, name: str) -> dict[str, object]:
        if name not in self._listed:
            return {}
        path = self._folder / name
        self._check(path, name, _files.digest_of_file(path).sha256)
        return load_values(path)

    def _check(self, path: Path, name: str, digest: str) -> None:
        if digest != self._listed[name]:
            raise _files.damaged(path, "it was changed after the run ended")
