"""Copies a state folder while it is in use: the databases as of one moment each, then the files."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from osprey_executor.errors import InvalidRequestError, StorageError
from osprey_executor.models import Backup

# The index first: what it knows of, the later copies hold, too. What they hold beyond that is of no run.
_DATABASES = ("index.sqlite", "checkpoints.sqlite", "memory.sqlite")
_PASSING = ("-wal", "-shm", "-journal", ".lock")


def backup(home: Path, folder: Path) -> Backup:
    """Copy the state folder `home` into the new folder `folder`, which is a state folder like any other then.

    Raises:
        InvalidRequestError: there is something at `folder` already, or it lies inside the state folder.
        StorageError: it cannot be copied; what was copied stays.
    """
    if folder.resolve().is_relative_to(home.resolve()):
        raise InvalidRequestError(f"{folder} lies in the state folder itself: choose a place outside of it")
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise InvalidRequestError(f"there is something at {folder} already: choose a new name") from None
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        for name in _DATABASES:
            if (home / name).exists():
                _copy_database(home / name, folder / name)
        for path in sorted(home.iterdir()):
            if path.name not in _DATABASES and not path.name.endswith(_PASSING) and path.name != "rehearsals":
                _copy(path, folder / path.name)
    except (OSError, sqlite3.Error, shutil.Error) as error:
        raise StorageError(f"the state folder {home} cannot be copied whole to {folder}: {error}") from error
    runs = folder / "runs"
    sizes = (path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    return Backup(folder=folder, runs=sum(1 for _ in runs.iterdir()) if runs.exists() else 0, bytes=sum(sizes))


def _copy_database(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    there, here = sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30), sqlite3.connect(target)
    try:
        there.backup(here)
    finally:
        there.close()
        here.close()


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder with its modes and times; links stay links, and pipes and sockets stay behind."""
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=_not_files, copy_function=_copy_file)
    elif source.is_file():
        _copy_file(str(source), str(target))


def _copy_file(source: str, target: str) -> str:
    try:
        return shutil.copy2(source, target, follow_symlinks=False)
    except FileNotFoundError:  # of a run that goes on, and has moved it
        return target


def _not_files(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not _is_kept(Path(folder) / name)]


def _is_kept(path: Path) -> bool:
    return path.is_symlink() or path.is_dir() or path.is_file()
