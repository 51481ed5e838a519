"""What a notebook needs to replay goes with the run: `replay/`, with the library of the sandbox as the run had it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from osprey_executor.models import RunResult
from osprey_executor.results import _files
from osprey_executor.text import one_line


def write_helper(folder: Path, run: RunResult) -> None:
    """Write `replay/` into a run folder.

    Raises:
        StorageError: it cannot be written.
    """
    package = files("osprey_executor")
    target = folder / "replay"
    for name, source in _modules(package / "results" / "osprey_replay"):
        _files.write(target / "osprey_replay" / name, source, durable=False)
    # Read as files, not imported: in a sandbox they are the package `osprey_executor`, and so they are in a replay.
    for name, source in _modules(package / "guest"):
        _files.write(target / "osprey_executor" / name, source, durable=False)
    _files.write_json(
        target / "facts.json",
        {
            "run_id": run.run_id,
            "status": run.status.replace("_", " "),
            "approver": one_line(run.approver) if run.approver else None,
            "digest": run.digest,
        },
    )


def _modules(package: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in package.iterdir():
        if entry.name.endswith(".py") and entry.is_file():
            yield entry.name, entry.read_bytes()
