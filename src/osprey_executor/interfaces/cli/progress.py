"""What a person sees while a run goes on: stage, attempt, the bar of the code, its output. On standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from osprey_executor.interfaces.cli.stream import OutputText
from osprey_executor.models import Stage
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from types import TracebackType

    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models import ErrorReport
    from osprey_executor.models.events import Event

_WORDS: Final = {
    Stage.GENERATION: "generating code",
    Stage.ANALYSIS: "analysing the code",
    Stage.APPROVAL: "waiting for approval",
    Stage.EXECUTION: "running in the sandbox",
    Stage.COLLECTION: "collecting the results",
}


class Display:
    """Shows events as they come: a live line at a terminal, plain lines elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._output = OutputText()
        self._live: Live | None = None
        self._bars = self._progress()
        self._stage: TaskID | None = None
        self._bar: TaskID | None = None
        self._told = ""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the live line away, so that something else may use the terminal; the next event brings it back."""
        self._print(self._output.rest())
        if self._live:
            self._live.stop()
            self._live = None

    def show(self, event: Event) -> None:
        """Show one event."""
        match event.kind:
            case "stage":
                self._on_stage(event.stage, event.attempt)
            case "output":
                self._print(self._output.add(event.stream, event.text))
            case "progress":
                self._on_progress(event.fraction, event.message)
            case "attempt_failed":
                self._on_failure(event.error, event.attempt)
            case "code" | "analysed" | "approval" | "finished":
                pass

    def _on_stage(self, stage: Stage, attempt: int) -> None:
        self._print(self._output.rest())
        words = _WORDS[stage] + (f", attempt {attempt}" if attempt > 1 else "")
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bar = None
        if not self._screen.moving:
            if words != self._told:
                self._screen.tell(f"{words} ...")
                self._told = words
            return
        if self._stage is not None:
            self._bars.remove_task(self._stage)
        self._stage = self._bars.add_task(words, total=None, bar=False)
        if stage is Stage.APPROVAL:
            self.pause()
        elif self._live is None:
            self._live = Live(Group(self._bars), console=self._screen.err, refresh_per_second=8, transient=True)
            self._live.start()

    def _on_progress(self, fraction: float, message: str) -> None:
        text = one_line(message, 60)
        if not self._screen.moving:
            words = f"{fraction:.0%} {text}".strip()
            if words != self._told:
                self._screen.tell(words)
                self._told = words
            return
        if self._bar is None:
            self._bar = self._bars.add_task(text, total=1.0, bar=True)
        self._bars.update(self._bar, completed=min(max(fraction, 0.0), 1.0), description=text)

    def _on_failure(self, error: ErrorReport, attempt: int) -> None:
        self._print(self._output.rest())
        self._screen.tell(Text(f"attempt {attempt} failed: {one_line(str(error), 300)}", style="yellow"))

    def _print(self, texts: list[Text]) -> None:
        for text in texts:
            self._screen.tell(text)

    def _progress(self) -> Progress:
        utf = self._screen.err.encoding.lower().startswith("utf")
        narrow = self._screen.err.width < 60
        return Progress(
            SpinnerColumn("dots" if utf else "line", style="cyan"),
            TextColumn("{task.description}", markup=False),
            _OnlyBars(bar_width=16 if narrow else 32),
            TimeElapsedColumn(),
            console=self._screen.err,
        )


class _OnlyBars(BarColumn):
    """A bar for tasks that have one: the stage has none, as nobody knows how long it takes."""

    def __call__(self, task: Task) -> RenderableType:
        return super().__call__(task) if task.fields.get("bar") else Text()
