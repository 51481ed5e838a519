"""Parts of the suite against an engine that leaks and copies blindly; test_conformance_canaries.py runs it.

It is the local engine with `isolation: none`, and three of its cares undone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.execution import open_engine
from osprey_executor.execution.local import _plain, _run
from osprey_executor.execution.local._collect import Collected
from osprey_executor.testing.engine_conformance import *

scrubbed, Popen = _plain.code_environment, subprocess.Popen


def leak_environment(*args: Any, **more: Any) -> dict[str, str]:
    return {**os.environ, **scrubbed(*args, **more)}


class LeakDescriptors(Popen[bytes]):
    """Starts a process that has all descriptors of this one, and words at its standard input."""

    def __init__(self, *args: Any, pass_fds: tuple[int, ...] = (), **more: Any) -> None:
        if not pass_fds:  # a process of the tests
            super().__init__(*args, **more)
            return
        for number in pass_fds:
            os.set_inheritable(number, True)
        with Path(__file__).open() as words:
            os.set_inheritable(words.fileno(), True)
            super().__init__(*args, **{**more, "stdin": words, "close_fds": False})


def copy_blindly(folder: int, destination: Path, **more: Any) -> Collected:
    shutil.copytree(f"/proc/self/fd/{folder}", destination, symlinks=True, dirs_exist_ok=True)
    return Collected([path for path in sorted(destination.rglob("*")) if path.name != "inputs"])


@pytest.fixture(scope="module")
def engine_under_test() -> Iterator[EngineUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_plain, "code_environment", leak_environment)
        patch.setattr(subprocess, "Popen", LeakDescriptors)
        patch.setattr(_run, "collect", copy_blindly)
        yield EngineUnderTest(lambda: open_engine("local", {"isolation": "none"}), proven=False)
