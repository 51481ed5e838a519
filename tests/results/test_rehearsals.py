"""Rehearsals are no record: their folders go after a week, and nothing else does."""

from __future__ import annotations

import os
import time
from pathlib import Path

from osprey_executor import PythonExecutorService
from osprey_executor.results import rehearsal_folder, sweep_rehearsals

WEEK = 7 * 86400


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)
    return path


def test_only_folders_that_are_a_week_old_go(tmp_path: Path) -> None:
    sweep_rehearsals(tmp_path)
    kept = tmp_path / "elsewhere"
    (kept / "data").mkdir(parents=True)
    old, young = (rehearsal_folder(tmp_path, name).path for name in ("old", "young"))
    (old / "work" / "closed").mkdir(mode=0o500)
    aged(old, WEEK + 3600)
    aged(young, WEEK - 3600)
    link = tmp_path / "rehearsals" / "link"
    link.symlink_to(kept)
    aged(link, 2 * WEEK)
    aged(kept, 2 * WEEK)
    sweep_rehearsals(tmp_path)
    assert {path.name for path in (tmp_path / "rehearsals").iterdir()} == {"young", "link"}
    assert (kept / "data").is_dir()


async def test_a_service_that_opens_sweeps(tmp_path: Path) -> None:
    old = aged(rehearsal_folder(tmp_path, "old").path, WEEK + 3600)
    async with PythonExecutorService.from_config({"control_system": {"type": "mock"}}, home=tmp_path):
        assert not old.exists()
