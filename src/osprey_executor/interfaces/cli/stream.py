"""Output of the code on its way to the terminal: whole lines, escaped, and never more than a person can read."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from osprey_executor.text import visible

_LONGEST_LINE: Final = 4096
_MOST: Final = 200_000


class OutputText:
    """Turns pieces of output into lines. A carriage return counts as a line end, so nothing can be painted over."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._shown = 0

    def add(self, stream: str, text: str) -> list[Text]:
        """Return what can be shown now that `text` has come: whole lines; the rest waits for its end."""
        whole = self._open.get(stream, "") + text.replace("\r\n", "\n").replace("\r", "\n")
        lines, newline, rest = whole.rpartition("\n")
        if len(rest) > _LONGEST_LINE:
            lines, newline, rest = whole, "\n", ""
        self._open[stream] = rest
        return self._limited(stream, lines) if newline else []

    def rest(self) -> list[Text]:
        """Return the lines that have no end yet."""
        texts = [text for stream, line in self._open.items() if line for text in self._limited(stream, line)]
        self._open.clear()
        return texts

    def _limited(self, stream: str, lines: str) -> list[Text]:
        if self._shown > _MOST:
            return []
        self._shown += len(lines) + 1
        texts = [Text(visible(lines[:_MOST]), style="red" if stream == "stderr" else "default")]
        if self._shown > _MOST:
            texts.append(Text("... the output goes on; all of it that was kept is in the run's folder", style="yellow"))
        return texts
