"""The folder of one conversation: home, configuration and temporary files of the CLI, and the copied examples."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "osprey-executor-claude-"
_SECONDS_TO_LOCK = 60
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Scratch:
    """Folders that nobody else may enter."""

    top: Path

    @property
    def work(self) -> Path:
        """Where the CLI stands: the copies of the example libraries."""
        return self.top / "work"

    @property
    def home(self) -> Path:
        """Its HOME."""
        return self.top / "home"

    @property
    def config(self) -> Path:
        """Its configuration, which begins empty."""
        return self.top / "config"

    @property
    def tmp(self) -> Path:
        """Its temporary files."""
        return self.top / "tmp"


@asynccontextmanager
async def scratch(*, keep: bool) -> AsyncGenerator[Scratch]:
    """Make the folders, and remove them with all that is in them, unless they are to be kept."""
    made, lock = _made()
    try:
        yield made
    finally:
        await asyncio.to_thread(_keep if keep else _remove, made.top)
        os.close(lock)


def _made() -> tuple[Scratch, int]:
    place = Path(tempfile.gettempdir()).resolve()
    _sweep(place)
    made = Scratch(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)))
    lock = os.open(made.top, _FOLDER)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for folder in (made.work, made.home, made.config, made.tmp):
        folder.mkdir(mode=0o700)
    return made, lock


def _sweep(place: Path) -> None:
    """Remove what services left that were killed: their locks went with them."""
    for top in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            known = top.lstat()
            old = time.time() - known.st_mtime > _SECONDS_TO_LOCK  # else its maker may be about to lock it
            if old and known.st_uid == os.getuid() and (lock := _locked(top)) is not None:
                _remove(top)
                os.close(lock)


def _locked(top: Path) -> int | None:
    """Lock a folder; None where another process has done so."""
    handle = os.open(top, _FOLDER)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _keep(top: Path) -> None:
    top.rename(top.with_name(f"kept-{top.name}"))


def _remove(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)  # the copies of the examples are read-only
    shutil.rmtree(top, ignore_errors=True)
