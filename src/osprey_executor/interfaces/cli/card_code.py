"""Code with the findings of the analysis on their lines, safe to show whatever the code holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import chop_cells
from rich.console import Group
from rich.text import Text

from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from osprey_executor.models import Finding

_WHOLE: Final = 400
"""Lines up to which the code is shown whole."""
_AROUND: Final = 6
_MOST_FOUND: Final = 200
_MOST_ROWS: Final = 6
_MOST_NOTES: Final = 3
_HIGHLIGHTED: Final = 60_000
_SPACES = re.compile(" {60,}")
_MARKS: Final = {
    Effect.CONTROL_WRITE: ("▶", "bold red"),
    Effect.OPAQUE: ("?", "bold magenta"),
    Effect.DYNAMIC_CODE: ("?", "bold magenta"),
    Effect.CONTROL_READ: ("·", "cyan"),
}


def code_listing(code: str, findings: Sequence[Finding], width: int) -> RenderableType:
    """Return the code with line numbers and what was found on each line.

    Long code is shown around its findings, and says how much is left out; nothing is cut silently.
    """
    lines = visible(code.replace("\r\n", "\n")).expandtabs(4).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    noted: dict[int, list[Finding]] = {}
    for finding in findings:
        noted.setdefault(min(max(finding.line, 1), max(len(lines), 1)), []).append(finding)
    styled = _styled(lines)
    rows: list[RenderableType] = [Text(f" Code, {len(lines)} lines", style="bold")]
    last = 0
    for number in _chosen(len(lines), noted):
        if number > last + 1:
            rows.append(_left_out(number - last - 1))
        rows.extend(_line(number, styled[number - 1], noted.get(number, []), len(str(len(lines))), width))
        last = number
    if last < len(lines):
        rows.append(_left_out(len(lines) - last))
    return Group(*rows)


def _styled(lines: list[str]) -> list[Text]:
    """Return the lines with their syntax coloured; very long code stays plain."""
    plain = [Text(_squeezed(line)) for line in lines]
    text = "\n".join(line.plain for line in plain)
    if len(text) > _HIGHLIGHTED or any(len(line) > 1000 for line in lines):
        return plain
    # Not at the top: the lexers take longer to load than all else of the card, and few runs show one.
    from rich.syntax import Syntax

    coloured = Syntax("", "python", theme="ansi_dark").highlight(text)
    parts = list(coloured.split("\n", allow_blank=True))
    # A lexer that adds or drops a line would move every finding: then plain text is the honest choice.
    if [part.plain for part in parts[: len(plain)]] != [line.plain for line in plain]:
        return plain
    return parts[: len(plain)]


def _squeezed(line: str) -> str:
    """Return a line whose long runs of spaces, which push code out of sight, are written in words."""
    return _SPACES.sub(lambda found: f"  ⟨{len(found[0])} spaces⟩  ", line)


def _chosen(total: int, noted: dict[int, list[Finding]]) -> list[int]:
    if total <= _WHOLE:
        return list(range(1, total + 1))
    heavy = [line for line in sorted(noted) if any(one.severity is not Severity.INFO for one in noted[line])]
    centres = [1, *(heavy or sorted(noted))[:_MOST_FOUND], total]
    chosen = {line for centre in centres for line in range(centre - _AROUND, centre + _AROUND + 1)}
    return sorted(line for line in chosen if 1 <= line <= total)


def _left_out(count: int) -> Text:
    return Text(f"   ⋮ {count:,} line{'s' if count > 1 else ''} not shown here", style="bold yellow")


def _line(number: int, line: Text, found: list[Finding], digits: int, width: int) -> list[Text]:
    heavy = sorted(found, key=lambda one: (one.severity is Severity.INFO, one.effect is not Effect.CONTROL_WRITE))
    mark, style = _mark(heavy[0]) if heavy else (" ", "")
    room = max(width - digits - 6, 20)
    pieces = chop_cells(line.plain, room) or [""]
    rows: list[Text] = []
    start = 0
    for place, piece in enumerate(pieces[:_MOST_ROWS]):
        gutter = Text.assemble((f" {mark if not place else ' '} ", style), no_wrap=True)
        gutter.append(f"{number if not place else '':>{digits}} ", style="dim")
        gutter.append("│ " if not place else "┊ ", style="dim")
        rows.append(gutter + line[start : start + len(piece)])
        start += len(piece)
    if len(pieces) > _MOST_ROWS:
        rows.append(
            _indented(f"⋮ {len(line.plain) - start:,} more characters of this line not shown", digits, "bold red")
        )
    messages = dict.fromkeys((one_line(one.message, 200), _mark(one)[1]) for one in heavy)
    for text, its_style in list(messages)[:_MOST_NOTES]:
        rows.extend(_indented(piece, digits, its_style) for piece in chop_cells(f"└ {text}", room))
    if len(messages) > _MOST_NOTES:
        rows.append(_indented(f"  and {len(messages) - _MOST_NOTES} more findings on this line", digits, "yellow"))
    return rows


def _indented(text: str, digits: int, style: str) -> Text:
    row = Text(" " * (digits + 6), no_wrap=True)
    row.append(text, style=style)
    return row


def _mark(finding: Finding) -> tuple[str, str]:
    if finding.effect is not None and finding.effect in _MARKS:
        return _MARKS[finding.effect]
    if finding.severity is Severity.INFO:
        return "·", "dim"
    return "!", "bold red" if finding.severity is Severity.ERROR else "bold yellow"
