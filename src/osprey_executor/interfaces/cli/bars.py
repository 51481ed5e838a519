"""How far a run is, on a terminal: a display that repaints itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from osprey_executor.interfaces.cli.screen import Screen


class Bars:
    """A spinner with the stage and its time, and a bar once the code has said how far it is."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._live: Live | None = None
        self._stage: TaskID | None = None
        self._bar: TaskID | None = None
        utf = screen.err.encoding.lower().startswith("utf")
        self._rows = Progress(
            SpinnerColumn("dots" if utf else "line", style="cyan"),
            TextColumn("{task.description}", markup=False),
            _Bar(bar_width=12 if screen.err.width < 60 else 32),
            _Far(),
            console=screen.err,
        )

    def stage(self, words: str, *, waits: bool) -> None:
        """Replace the stage and take the bar of the last one away."""
        for row in (self._stage, self._bar):
            if row is not None:
                self._rows.remove_task(row)
        self._bar = None
        self._stage = self._rows.add_task(words, total=None)
        if waits:
            self.pause()
        elif self._live is None:
            self._live = Live(self._rows, console=self._screen.err, refresh_per_second=8, transient=True)
            self._live.start()

    def progress(self, fraction: float, words: str) -> None:
        """Move the bar."""
        if self._bar is None:
            self._bar = self._rows.add_task(words, total=1.0)
        self._rows.update(self._bar, completed=fraction, description=words)

    def pause(self) -> None:
        """Wipe the display."""
        if self._live:
            self._live.stop()
            self._live = None


class _Bar(BarColumn):
    """A bar for rows that have an end: a stage has none, as nobody knows how long it takes."""

    def __call__(self, task: Task) -> RenderableType:
        return Text() if task.total is None else super().__call__(task)


class _Far(TimeElapsedColumn):
    """Percent for rows that have an end, the time so far for the others."""

    def __call__(self, task: Task) -> RenderableType:
        return super().__call__(task) if task.total is None else Text(f"{task.percentage:3.0f} %")
