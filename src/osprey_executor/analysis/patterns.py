"""Regular expressions of the site over the text of a program, as Osprey has them: they add, they never replace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Confidence, Effect, Finding, Severity
from osprey_executor.text import one_line

_MOST_MATCHES = 100
_MOST_LINE = 4000
"""Longer lines are searched up to here, so that no expression meets a text without end."""


@dataclass(frozen=True)
class Patterns:
    """What a site searches for."""

    write: tuple[re.Pattern[str], ...] = ()
    read: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def of(cls, *, write: Iterable[str] = (), read: Iterable[str] = ()) -> Patterns:
        """Compile expressions.

        Raises:
            ConfigurationError: one is not a regular expression.
        """
        return cls(tuple(_compiled("write", text) for text in write), tuple(_compiled("read", text) for text in read))

    def findings(self, text: str) -> Iterator[Finding]:
        """Yield a finding for each place of `text` that an expression fits, comments left out."""
        if not (self.write or self.read):
            return
        lines = [_code_of(line)[:_MOST_LINE] for line in text.split("\n")]
        shown = "\n".join(lines)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        for effect, expressions in ((Effect.CONTROL_WRITE, self.write), (Effect.CONTROL_READ, self.read)):
            for expression in expressions:
                yield from _matches(expression, effect, shown, starts)


def _matches(expression: re.Pattern[str], effect: Effect, text: str, starts: list[int]) -> Iterator[Finding]:
    line = 0
    for count, match in enumerate(expression.finditer(text)):
        if count >= _MOST_MATCHES:
            return
        while starts[line + 1] <= match.start():
            line += 1
        verb = "writes" if effect is Effect.CONTROL_WRITE else "reads"
        yield Finding(
            rule=f"pattern/{'write' if effect is Effect.CONTROL_WRITE else 'read'}",
            line=line + 1,
            column=match.start() - starts[line] + 1,
            severity=Severity.WARNING if effect is Effect.CONTROL_WRITE else Severity.INFO,
            effect=effect,
            confidence=Confidence.POSSIBLE,
            message=f"{verb} channels, by the site's pattern {one_line(expression.pattern, 80)}",
        )


def _code_of(line: str) -> str:
    """Return a line without its comment; a `#` that may stand in a text is left."""
    before, mark, _ = line.partition("#")
    return before if mark and before.count("'") % 2 == 0 and before.count('"') % 2 == 0 else line


def _compiled(kind: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigurationError(
            f"analysis.patterns.{kind}: {one_line(text, 80)} is not a regular expression: {one_line(str(error), 120)}"
        ) from error
