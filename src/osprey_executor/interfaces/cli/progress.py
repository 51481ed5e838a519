"""What a person sees while a run goes on: stage, attempt, the bar of the code, its output. On standard error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rich.text import Text

from osprey_executor.interfaces.cli.indicator import indicator_for
from osprey_executor.interfaces.cli.stream import OutputText
from osprey_executor.models import Stage
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from types import TracebackType

    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models.events import Event

_WORDS: Final = {
    Stage.GENERATION: "generating code",
    Stage.ANALYSIS: "analysing the code",
    Stage.REHEARSAL: "running in the sandbox; writes are kept from the machine",
    Stage.APPROVAL: "waiting for approval",
    Stage.EXECUTION: "running in the sandbox",
    Stage.COLLECTION: "collecting the results",
}


class Display:
    """Shows the events of a run as they come."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._output = OutputText()
        self._indicator = indicator_for(screen)
        self._failed = ""
        self._own_code = False

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.pause()

    def pause(self) -> None:
        """Leave the terminal to something else; the next stage comes back."""
        self._tell(self._output.rest())
        self._indicator.pause()

    def begin(self, words: str, *, own_code: bool = False) -> None:
        """Show that something is being made ready, before the first event; no code of one's own is generated."""
        self._own_code = own_code
        self._indicator.stage(words, waits=False)

    def show(self, event: Event) -> None:
        """Show one event."""
        match event.kind:
            case "stage" if event.stage is Stage.GENERATION and self._own_code:
                pass
            case "stage":
                self._tell(self._output.rest())
                if event.attempt > 1 and self._failed:
                    self._tell([Text(self._failed, style="yellow")])
                    self._failed = ""
                words = _WORDS[event.stage] + (f", attempt {event.attempt}" if event.attempt > 1 else "")
                self._indicator.stage(words, waits=event.stage is Stage.APPROVAL)
            case "output":
                self._tell(self._output.add(event.stream, event.text))
            case "progress":
                fraction = 0.0 if math.isnan(event.fraction) else min(max(event.fraction, 0.0), 1.0)
                self._indicator.progress(fraction, one_line(event.message, 60))
            case "queued":
                self._indicator.stage("waiting for a turn: as many programs run as may at once", waits=False)
            case "figure":
                self._tell([Text(f"figure {event.number}: {one_line(str(event.path), 500)}")])
            case "attempt_failed":
                # Told when another attempt follows; else the summary tells it better.
                self._failed = f"attempt {event.attempt} failed: {one_line(str(event.error), 300)}"
            case "code" | "analysed" | "approval" | "finished":
                pass

    def _tell(self, texts: list[Text]) -> None:
        for text in texts:
            self._screen.tell(text)
