"""The command line. `main` is the entry point; a command's own modules are imported when it is used."""

from osprey_executor.interfaces.cli.app import main

__all__ = ["main"]
