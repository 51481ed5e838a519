"""How far a run is: on a display that repaints itself at a terminal, in plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.screen import Screen


class Indicator(Protocol):
    """Shows one stage, and how far the code says it is. Texts are safe to show."""

    def stage(self, words: str, *, waits: bool) -> None:
        """Begin a stage; one that `waits` for a person moves nothing."""
        ...

    def progress(self, fraction: float, words: str) -> None:
        """Show how far the code is, between 0 and 1."""
        ...

    def pause(self) -> None:
        """Leave the terminal to something else; the next stage comes back."""
        ...


def indicator_for(screen: Screen) -> Indicator:
    """Return what suits the standard error of this process."""
    if not screen.moving:
        return Lines(screen)
    # Not at the top: a script that never sees the display need not wait for it.
    from osprey_executor.interfaces.cli.bars import Bars

    return Bars(screen)


class Lines:
    """A line a stage and a line each tenth of the way: for logs, pipes and terminals that cannot repaint."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._words = ""
        self._tenth = -1

    def stage(self, words: str, *, waits: bool) -> None:
        """Say it once."""
        self._tenth = -1
        if words != self._words:
            self._words = words
            self._screen.tell(f"{words} ...")

    def progress(self, fraction: float, words: str) -> None:
        """Say it when another tenth is done."""
        if int(fraction * 10) != self._tenth:
            self._tenth = int(fraction * 10)
            self._screen.tell(f"{fraction:4.0%} {words}".rstrip())

    def pause(self) -> None:
        """Nothing moves."""
