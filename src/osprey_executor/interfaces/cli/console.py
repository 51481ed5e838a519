"""Rich's console without its way to end the process."""

from __future__ import annotations

from rich.console import Console


class PlainConsole(Console):
    """A console that leaves a reader that has gone away to its caller: the exit code is the run's."""

    def on_broken_pipe(self) -> None:
        """Raise again what Rich would turn into the end of the process.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError
