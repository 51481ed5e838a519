"""Rehearsals that are no part of a run: a folder each, kept for some days. They are no record: nothing was written."""

from __future__ import annotations

import time
from pathlib import Path

from osprey_executor.results import _files
from osprey_executor.results.attempts import AttemptFolder

_KEPT = 7 * 86400.0
"""Seconds since something was last put into a folder; no rehearsal takes as long."""


def rehearsal_folder(home: Path, name: str) -> AttemptFolder:
    """Return the new folder of a rehearsal that is no part of a run.

    Raises:
        StorageError: it cannot be made.
    """
    path = _all(home) / name
    try:
        path.mkdir(mode=0o700, parents=True)
        (path / "work").mkdir(mode=0o700)
    except OSError as error:
        raise _files.storage_error(path, "made", error) from error
    return AttemptFolder(path)


def sweep_rehearsals(home: Path) -> None:
    """Remove the folders of rehearsals that are a week old, and follow no link.

    Raises:
        StorageError: a folder cannot be removed; those after it stay, too.
    """
    try:
        old = [path for path in _all(home).iterdir() if path.lstat().st_mtime < time.time() - _KEPT]
    except OSError:  # there were none, or somebody else sweeps
        return
    for path in old:
        if path.is_dir() and not path.is_symlink():
            _files.remove_tree(path)


def _all(home: Path) -> Path:
    return home / "rehearsals"
