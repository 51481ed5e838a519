"""The standard streams, made safe: present, able to write every character, and quiet when their reader goes away."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from osprey_executor.errors import StorageError
from osprey_executor.interfaces.cli.early import leaving

_PIECE = 2**20


class Unbreakable(io.TextIOWrapper):
    """Standard error whose reader may go away: a run must not end because nobody listens to its progress."""

    def write(self, text: str) -> int:
        """Write, or forget."""
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or forget."""
        with contextlib.suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make the standard streams of this process safe."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the life of the process
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")
    if sys.stderr is sys.__stderr__:  # not where somebody has put another one there, as tests do
        sys.stderr = Unbreakable(
            sys.stderr.buffer, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True
        )


def write_json(document: Any) -> None:
    """Print one JSON document on standard output, in ASCII, so that no locale and no terminal can spoil it."""
    pieces = json.JSONEncoder(indent=2, allow_nan=False).iterencode(document)
    leaving.answered = True

    def write() -> None:
        # In pieces: as one text a large result would be in memory three or four times.
        for piece in pieces:
            for at in range(0, len(piece), _PIECE):
                sys.stdout.write(piece[at : at + _PIECE])
        sys.stdout.write("\n")

    write_out(write)


def write_out(write: Callable[[], object]) -> None:
    """Call `write` and flush standard output; a reader that has gone away is no error.

    Raises:
        StorageError: standard output goes to a file that cannot take it.
    """
    try:
        write()
        sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes once more at exit: give it something that cannot break.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise StorageError(f"cannot write to standard output: {error.strerror or error}") from None
