"""Other sandboxes that this machine may have, as subjects; and why not, where it has none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from _measure import Subject, command

IMAGE = "localhost/osprey-executor-bench"
"""An image of this name, with `python` on its path, makes podman take part; see docs/how-to/measure.md."""
_BUBBLEWRAP = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent")
_PODMAN = ("--rm", "--network", "none", "--read-only", "--cap-drop", "all", "--ulimit", "nofile=1024:1024")


def sandboxes(script: Path) -> tuple[dict[str, Subject], dict[str, str]]:
    """Return a subject that runs `script` for each sandbox that works here, and for the others why they do not."""
    lines: dict[str, list[str]] = {
        "bubblewrap": ["bwrap", *_BUBBLEWRAP, sys.executable, str(script)],
        "podman": ["podman", "run", *_PODMAN, "--volume", f"{script}:/code.py:ro", IMAGE, "python", "/code.py"],
    }
    missing = {name: why for name, line in lines.items() if (why := _why_not(line))}
    return {name: command(line) for name, line in lines.items() if name not in missing}, missing


def _why_not(line: Sequence[str]) -> str | None:
    if shutil.which(line[0]) is None:
        return f"the program {line[0]} is not installed"
    if line[0] == "podman":
        found = subprocess.run(["podman", "image", "exists", IMAGE], capture_output=True, check=False)
        if found.returncode:
            return f"there is no image {IMAGE} with a Python"
    done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        return f"does not work here: {' '.join(done.stderr.split())[-200:]}"
    return None
