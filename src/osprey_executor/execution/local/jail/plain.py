"""Starts the code without a jail: limits, then exec. For a configuration that wants no containment."""

from __future__ import annotations

import os
import sys

from . import kernel
from .confine import set_limits
from .spec import read_spec


def main() -> None:
    """Become the program that the specification at the descriptor of the last argument names."""
    spec = read_spec(int(sys.argv[-1]))
    if sys.platform == "linux":
        kernel.die_with_parent()
    set_limits(spec["rlimits"])
    kernel.default_signals()
    os.umask(0o022)
    os.execve(spec["executable"], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted
