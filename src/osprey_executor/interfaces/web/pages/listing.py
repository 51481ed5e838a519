"""Code as a page shows it: numbered, coloured, with what the analysis found beside its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pygments.lexers.python import PythonLexer  # pyright: ignore[reportMissingTypeStubs]
from pygments.token import Token

from osprey_executor.models import Effect, Finding, Severity
from osprey_executor.text import one_line, visible

_WHOLE: Final = 2000
"""Lines up to which the code is shown whole."""
_AROUND: Final = 8
_MOST_FOUND: Final = 200
_MOST_NOTES: Final = 4
_LONGEST: Final = 2000
_COLOURED: Final = 200_000
_SPACES = re.compile(" {60,}")
_WORDS: Final = {
    Effect.CONTROL_WRITE: ("writes", "write"),
    Effect.OPAQUE: ("unseen", "unseen"),
    Effect.DYNAMIC_CODE: ("unseen", "unseen"),
    Effect.CONTROL_READ: ("reads", "read"),
}
_COLOURS: Final = (
    (Token.Comment, "c"),
    (Token.Keyword, "k"),
    (Token.Literal.String, "s"),
    (Token.Literal.Number, "n"),
    (Token.Name.Builtin, "b"),
    (Token.Name.Function, "f"),
)


@dataclass(frozen=True)
class Note:
    """What was found on a line: the word that marks it, its class, and what it means."""

    mark: str
    kind: str
    text: str


@dataclass(frozen=True)
class Line:
    """A line of code; `skipped` lines before it are not shown."""

    number: int
    pieces: tuple[tuple[str, str], ...]
    """Class and text."""
    notes: tuple[Note, ...] = ()
    skipped: int = 0
    cut: int = 0
    """Characters of it that are not shown."""

    @property
    def kind(self) -> str:
        """The class of its heaviest note."""
        return self.notes[0].kind if self.notes else ""


@dataclass(frozen=True)
class Listing:
    """A program."""

    total: int
    lines: tuple[Line, ...]
    skipped: int = 0
    """Lines after the last one shown."""


def listing(code: str, findings: Sequence[Finding] = ()) -> Listing:
    """Return the lines of a program. Long code is shown around its findings; nothing is left out silently."""
    lines = shown_code(code).expandtabs(4).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    noted: dict[int, list[Finding]] = {}
    for finding in findings:
        noted.setdefault(min(max(finding.line, 1), max(len(lines), 1)), []).append(finding)
    lines = [_SPACES.sub(lambda found: f"  ⟨{len(found[0])} spaces⟩  ", line) for line in lines]
    coloured = _coloured([line[:_LONGEST] for line in lines])
    shown: list[Line] = []
    last = 0
    for number in _chosen(len(lines), noted):
        shown.append(
            Line(
                number=number,
                pieces=coloured[number - 1],
                notes=_notes(noted.get(number, [])),
                skipped=number - last - 1,
                cut=max(len(lines[number - 1]) - _LONGEST, 0),
            )
        )
        last = number
    return Listing(len(lines), tuple(shown), len(lines) - last)


def shown_code(code: str) -> str:
    """Return code in the form in which pages show it, and offer it for an edit: whatever hides in it is spelled out."""
    return visible(code.replace("\r\n", "\n"))


def _coloured(lines: list[str]) -> list[tuple[tuple[str, str], ...]]:
    plain = [(("", line),) for line in lines]
    text = "\n".join(lines)
    if len(text) > _COLOURED:
        return plain
    rows: list[list[tuple[str, str]]] = [[]]
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        colour = next((name for family, name in _COLOURS if kind in family), "")
        first, *others = value.split("\n")
        rows[-1].append((colour, first))
        rows.extend([(colour, other)] for other in others)
    # A lexer that adds or drops a line would move every finding: then plain text is the honest choice.
    if ["".join(piece for _, piece in row) for row in rows] != lines:
        return plain
    return [tuple(piece for piece in row if piece[1]) for row in rows]


def _chosen(total: int, noted: dict[int, list[Finding]]) -> list[int]:
    if total <= _WHOLE:
        return list(range(1, total + 1))
    heavy = [line for line in sorted(noted) if any(one.severity is not Severity.INFO for one in noted[line])]
    centres = [1, *(heavy or sorted(noted))[:_MOST_FOUND], total]
    chosen = {line for centre in centres for line in range(centre - _AROUND, centre + _AROUND + 1)}
    return sorted(line for line in chosen if 1 <= line <= total)


def _notes(found: list[Finding]) -> tuple[Note, ...]:
    heavy = sorted(found, key=lambda one: (one.severity is Severity.INFO, one.effect is not Effect.CONTROL_WRITE))
    notes = list(dict.fromkeys(Note(*_mark(one), one_line(one.message, 300)) for one in heavy))
    if len(notes) <= _MOST_NOTES:
        return tuple(notes)
    return (*notes[:_MOST_NOTES], Note("", "info", f"and {len(notes) - _MOST_NOTES} more findings on this line"))


def _mark(finding: Finding) -> tuple[str, str]:
    if finding.effect is not None and finding.effect in _WORDS:
        return _WORDS[finding.effect]
    return finding.severity.value, finding.severity.value
