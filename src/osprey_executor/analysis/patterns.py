"""Regular expressions of the site over the text of a program, as Osprey has them: they add, they never replace."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from osprey_executor.analysis import pattern_worker
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Confidence, Effect, Finding, Severity
from osprey_executor.text import one_line

_MOST_MATCHES = 100
_MOST_LINE = 4000
"""Longer lines are searched up to here."""
_MOST_WALL = 30.0
"""Seconds; processor time is what ends a search, this only where the machine has none for it."""
_WORKER = Path(pattern_worker.__file__)
_ESCAPED = re.compile(r"\\[^0-9]")
_BRANCHING = frozenset("*+?{|(\\")
"""What an expression without cannot go back for: it is searched in one go, in time in proportion to the text."""


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

    def findings(self, text: str) -> tuple[list[Finding], str]:
        """Return a finding for each place of `text` that an expression fits, comments left out, and what gave up."""
        expressions = [
            *((Effect.CONTROL_WRITE, one) for one in self.write),
            *((Effect.CONTROL_READ, one) for one in self.read),
        ]
        if not expressions:
            return [], ""
        lines = [_code_of(line)[:_MOST_LINE] for line in text.split("\n")]
        shown = "\n".join(lines)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        found: list[Finding] = []
        plain = [(effect, one) for effect, one in expressions if _is_plain(one)]
        for effect, one in plain:
            places = [match.start() for match in islice(one.finditer(shown), _MOST_MATCHES)]
            found.extend(_told(one, effect, places, starts))
        others = [pair for pair in expressions if pair not in plain]
        answers = _searched([one.pattern for _, one in others], shown) if others else []
        for (effect, one), places in zip(others, answers, strict=False):
            found.extend(_told(one, effect, places, starts))
        if len(answers) == len(others):
            return found, ""
        late = one_line(others[len(answers)][1].pattern, 80)
        return found, f"the site's pattern {late} does not come to an end on this program (analysis.patterns)"


def _is_plain(expression: re.Pattern[str]) -> bool:
    return not _BRANCHING & set(_ESCAPED.sub("", expression.pattern))


def _searched(expressions: Sequence[str], text: str) -> list[list[int]]:
    """Return the places where expressions fit, up to the first one that takes too long."""
    job = json.dumps({"expressions": expressions, "text": text, "most": _MOST_MATCHES})
    worker = [sys.executable, "-I", "-S", str(_WORKER)]
    try:
        done = subprocess.run(worker, input=job.encode(), capture_output=True, env={}, timeout=_MOST_WALL, check=False)
        out = done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
    except OSError:
        return []
    return [json.loads(line) for line in out.splitlines() if line.endswith(b"]")]


def _told(expression: re.Pattern[str], effect: Effect, places: Iterable[int], starts: list[int]) -> Iterator[Finding]:
    line = 0
    for place in places:
        while starts[line + 1] <= place:
            line += 1
        verb = "writes" if effect is Effect.CONTROL_WRITE else "reads"
        yield Finding(
            rule=f"pattern/{'write' if effect is Effect.CONTROL_WRITE else 'read'}",
            line=line + 1,
            column=place - starts[line] + 1,
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
