"""The command line. `main` is the entry point; a command's own modules are imported when it is used."""

from __future__ import annotations

import sys
from typing import NoReturn

from osprey_executor.interfaces.cli.early import leaving

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code; a signal ends it at any moment."""
    leaving.guard(as_json="--json" in sys.argv)
    # Not at the top: what this imports takes long enough for a signal to come.
    from osprey_executor.interfaces.cli import app

    app.main()
