"""What became known of a run after its end is told in its record: notebook and manifest, each whole at any moment."""

from __future__ import annotations

from pathlib import Path

from osprey_executor.models import RunResult
from osprey_executor.results import _files, _json_files
from osprey_executor.results.banner import Shown
from osprey_executor.results.finish import attempt_numbers
from osprey_executor.results.load import load_manifest
from osprey_executor.results.manifest import FileEntry
from osprey_executor.results.notebook import write_notebook

_CHANGED = frozenset({"journal.jsonl", "notebook.ipynb"})


def amend(folder: Path, result: RunResult) -> None:
    """Rewrite what the record says of effects, writes and notes; all else stays as it is, and as it was listed.

    Raises:
        StorageError: it cannot be written, or the manifest is damaged.
    """
    manifest = load_manifest(folder)
    if manifest.final_attempt is not None:
        attempts = len(attempt_numbers(folder))
        shown = Shown(
            run=result, code=result.code or "", attempt=manifest.final_attempt, of_attempts=attempts, final=True
        )
        write_notebook(folder / "notebook.ipynb", shown)
    told = {
        "effects": result.effects,
        "writes": result.writes,
        "notes": result.notes,
        "files": tuple(_as_it_is(folder, entry) for entry in manifest.files),
    }
    _files.make_durable(folder)  # before the manifest, which says that the record is complete
    _json_files.write(folder / "manifest.json", manifest.model_copy(update=told).model_dump(mode="json"))
    _files.make_durable(folder)


def _as_it_is(folder: Path, entry: FileEntry) -> FileEntry:
    if entry.path not in _CHANGED:
        return entry
    now = _files.digest_of_file(folder / entry.path)
    return entry.model_copy(update={"size": now.size, "sha256": now.sha256})
