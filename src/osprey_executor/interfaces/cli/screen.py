"""Where a command writes: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from osprey_executor.interfaces.cli.streams import write_out

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
        from osprey_executor.interfaces.cli.console import PlainConsole

        return cls(
            out=PlainConsole(file=sys.stdout, highlight=False, emoji=False, markup=False),
            err=PlainConsole(file=sys.stderr, highlight=False, emoji=False, markup=False),
            as_json=as_json,
            interactive=sys.stdin.isatty() and sys.stderr.isatty(),
        )

    @property
    def moving(self) -> bool:
        """Whether standard error can show a display that repaints itself."""
        return self.err.is_terminal and not self.err.is_dumb_terminal

    def show(self, renderable: RenderableType, *, wrap: bool = True) -> None:
        """Print the answer of the command on standard output; without `wrap`, the terminal wraps the lines."""
        write_out(lambda: _print(self.out, renderable, soft_wrap=not wrap))

    def show_aside(self, renderable: RenderableType) -> None:
        """Print what a person should look at, and is not the answer, on standard error."""
        _print(self.err, renderable, soft_wrap=False)

    def tell(self, renderable: RenderableType = "", *, style: str | None = None) -> None:
        """Print what is not the answer on standard error; lines are left to the terminal to wrap, so they copy well."""
        self.err.print(renderable, style=style, soft_wrap=True)


def _print(console: Console, renderable: RenderableType, *, soft_wrap: bool) -> None:
    if console.is_terminal:
        console.print(renderable, crop=False, soft_wrap=soft_wrap)
        return
    # Rich fills lines up to the width, which only disturbs whoever greps, compares or keeps them.
    with console.capture() as captured:
        console.print(renderable, crop=False, soft_wrap=soft_wrap)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()
