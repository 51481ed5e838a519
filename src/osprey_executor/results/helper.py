"""What a notebook needs to replay goes with the run: `replay/`, with the library of the sandbox as the run had it."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from osprey_executor.models import RunResult
from osprey_executor.results import _files, _json_files
from osprey_executor.text import one_line


def write_helper(folder: Path, run: RunResult) -> None:
    """Write `replay/` into a run folder.

    Raises:
        StorageError: it cannot be written.
    """
    target = folder / "replay"
    _files.write(target / "library.zip", _library())
    _json_files.write(
        target / "facts.json",
        {
            "run_id": run.run_id,
            "status": run.status.replace("_", " "),
            "approver": one_line(run.decided_by) if run.decided_by else None,
            "digest": run.digest,
        },
    )


@cache
def _library() -> bytes:
    """Return the library as Python imports it from one file: thirty small ones would cost a run more than its code."""
    package = files("osprey_executor")
    # Read as files, not imported: in a sandbox they are the package `osprey_executor`, and so they are in a replay.
    packages = {"osprey_replay": package / "results" / "osprey_replay", "osprey_executor": package / "guest"}
    library = io.BytesIO()
    with zipfile.ZipFile(library, "w", zipfile.ZIP_DEFLATED) as file:
        for name, source in packages.items():
            for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
                if entry.name.endswith(".py") and entry.is_file():
                    # A name alone has a constant date: the same library is the same file.
                    file.writestr(zipfile.ZipInfo(f"{name}/{entry.name}"), entry.read_bytes(), zipfile.ZIP_DEFLATED)
    return library.getvalue()
