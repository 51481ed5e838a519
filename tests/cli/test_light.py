"""A command loads only what it shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = "osprey_executor.interfaces.cli"


@pytest.mark.parametrize(
    ("loaded", "heavy"),
    [
        ("", "typer"),
        (".app", "rich"),
        (".app", "pydantic"),
        (".work", "rich.progress"),
        (".work", "langgraph"),
        (".deciding", "rich.syntax"),
        (".deciding", "pygments"),
    ],
)
def test_what_is_not_shown_is_not_loaded(loaded: str, heavy: str) -> None:
    look = f"import sys, {COMMANDS}{loaded}; print({heavy!r} in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "False\n"
