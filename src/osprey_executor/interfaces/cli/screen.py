"""Where a command writes: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@dataclass(frozen=True)
class Screen:
    """The two streams of one command."""

    out: Console
    err: Console
    as_json: bool
    interactive: bool
    """Whether a person sits there: standard input and standard error are terminals."""

    @classmethod
    def open(cls, *, as_json: bool = False) -> Screen:
        """Return the screen of this process."""
        from rich.console import Console

        return cls(
            out=Console(file=sys.stdout, highlight=False, emoji=False, markup=False),
            err=Console(file=sys.stderr, highlight=False, emoji=False, markup=False),
            as_json=as_json,
            interactive=sys.stdin.isatty() and sys.stderr.isatty(),
        )

    @property
    def moving(self) -> bool:
        """Whether standard error can show a display that repaints itself."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    def show(self, renderable: RenderableType) -> None:
        """Print the answer of the command on standard output."""
        write_out(lambda: self.out.print(renderable, crop=False))

    def tell(self, renderable: RenderableType = "", *, style: str | None = None) -> None:
        """Print what is not the answer on standard error; lines are left to the terminal to wrap, so they copy well."""
        self.err.print(renderable, style=style, soft_wrap=True)


def write_json(document: Any) -> None:
    """Print one JSON document on standard output, in ASCII, so that no locale and no terminal can spoil it."""
    write_out(lambda: print(json.dumps(document, indent=2, allow_nan=False), file=sys.stdout))  # noqa: T201 - the output


def write_out(write: Any) -> None:
    """Call `write` and flush standard output; a reader that has gone away is no error."""
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at exit: give it something that cannot break.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_streams() -> None:
    """Make the standard streams safe to write: present, and unable to fail on a character that they cannot encode."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the life of the process
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
