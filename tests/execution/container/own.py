"""A container of our own for the tests: made by the command that users have, once a session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

IMAGE = f"localhost/osprey-executor-tests-{os.getpid()}"
"""Of these tests alone: others on this machine may be at theirs."""
_COMMAND = Path(sys.executable).with_name("osprey-executor")
_REMEDY = (
    "these tests need podman (or docker): as root, `apt-get install -y --no-install-recommends podman runc`, which "
    "`make test` does where it may"
)


class Own:
    """One container, and how to reach it. Its state folder has a short path, as sockets need one."""

    def __init__(self, *options: str) -> None:
        """Start it from the image that `build` has made."""
        self.home = Path(tempfile.mkdtemp(prefix="osprey-own-"))
        self.told: dict[str, Any] = json.loads(self.command("up", "--json", "--image", IMAGE, *options))

    def command(self, *arguments: str) -> str:
        """Run `osprey-executor container` for it, and return what it printed."""
        return container(self.home, *arguments)

    def config(self, **more: Any) -> dict[str, Any]:
        """Return the execution section for it."""
        own = {"managed": True, "warm_kernels": 0, "patience": 120, **more}
        return {"execution_method": "container", "container": own}

    def close(self) -> None:
        """End it."""
        self.command("down")
        shutil.rmtree(self.home)


def build() -> str:
    """Make the image from the Python that runs the tests; return its id."""
    home = Path(tempfile.mkdtemp(prefix="osprey-own-"))
    try:
        return json.loads(container(home, "build", "--json", "--image", IMAGE))["image"]
    finally:
        shutil.rmtree(home)


def container(home: Path, *arguments: str) -> str:
    """Run `osprey-executor container`."""
    done = subprocess.run(
        [_COMMAND, "container", *arguments],
        env={**os.environ, "OSPREY_EXECUTOR_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{_REMEDY}"
    return done.stdout
