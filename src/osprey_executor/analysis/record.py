"""What one analysis found: findings, flaws and writes, and where in the source they stand."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from typing import Any

from osprey_executor.analysis.scopes import Scope
from osprey_executor.analysis.values import HOLE, UNKNOWN, Box, Const, Pattern, Ref, Value, holes
from osprey_executor.analysis.ways import way_to
from osprey_executor.models import Confidence, Effect, Finding, FindingKind, Severity, WriteTarget

_MOST_FOUND = 2000
_NEW_LINE = re.compile(r"\r\n|\r|\n")
"""What ends a line for Python."""
_REBINDS = re.compile(r"(?:^|[:;])\s*(?:global|nonlocal)\b([\w\s,]+)")
_WORD = re.compile(r"\w+")


class Record:
    """The findings of one analysis on its way."""

    def __init__(self, source: str) -> None:
        self.text = source
        self.lines = _NEW_LINE.split(source) if "\r" in source else source.split("\n")
        self._is_ascii = source.isascii()
        self._columns: dict[int, list[int]] = {}
        """By line that is not ASCII: the byte at which each of its characters ends."""
        self.module = Scope("module")
        self.scope = self.module
        self.place: ast.AST | None = None
        """Where text that is analysed as code was given to `exec`."""
        self.found: dict[tuple[str, int, int], Finding] = {}
        self.flaws: dict[tuple[str, int, int], Finding] = {}
        self.targets: dict[tuple[str | None, int, str | None], WriteTarget] = {}
        self.taken: dict[tuple[int, int], str] = {}
        self.asking: dict[tuple[bool, int], str] = {}
        """Why a person should be asked: by whether it is a write, and by line."""
        self.dropped = False

    @cached_property
    def rebound(self) -> frozenset[str]:
        """Names that a body sets which are another's, by `global` and `nonlocal`."""
        if "global" not in self.text and "nonlocal" not in self.text:
            return frozenset()
        return frozenset(
            name for line in self.lines for words in _REBINDS.findall(line) for name in _WORD.findall(words)
        )

    def where(self, node: ast.AST) -> tuple[int, int, int | None, int | None]:
        """Return line, column, last line and last column of a node, counted from 1."""
        node = self.place or node
        line = getattr(node, "lineno", 1)
        end = getattr(node, "end_lineno", None)
        column = self._column(line, getattr(node, "col_offset", 0))
        end_column = None if end is None else self._column(end, getattr(node, "end_col_offset", None) or 0)
        return line, column, end, end_column

    def _column(self, line: int, offset: int) -> int:
        text = "" if self._is_ascii or not 0 < line <= len(self.lines) else self.lines[line - 1]
        if text.isascii():
            return offset + 1
        ends = self._columns.get(line)
        if ends is None:
            ends = self._columns[line] = list(accumulate(len(char.encode("utf-8", "replace")) for char in text))
        return bisect_right(ends, offset) + 1

    def find(
        self,
        node: ast.AST,
        rule: str,
        effect: Effect | None,
        message: str,
        severity: Severity = Severity.INFO,
        *,
        ask: bool = False,
        confidence: Confidence | None = None,
    ) -> None:
        """Note a finding at `node`; with `ask`, a person should be asked."""
        line, column, end, end_column = self.where(node)
        if ask:
            self.ask(line, effect, message)
        key = (rule, line, column)
        if key in self.found:
            return
        if len(self.found) >= _MOST_FOUND:
            # What asks is never dropped for what merely informs.
            if not ask or self.dropped:
                return
            self.dropped = True
        if confidence is None:
            confidence = Confidence.POSSIBLE if effect is Effect.OPAQUE else Confidence.CERTAIN
        message = _sayable(message)
        if self.place is not None:
            message = f"in text that is run as code: {message}"
        self.found[key] = Finding(
            rule=rule,
            line=line,
            column=column,
            end_line=end,
            end_column=end_column,
            severity=severity,
            effect=effect,
            message=message,
            confidence=confidence,
            way=way_to(node, self.scope) if self.place is None and (ask or severity is not Severity.INFO) else (),
        )

    def flaw(self, node: ast.AST, rule: str, message: str) -> None:
        """Note a plain mistake, told only where the quality of a program is asked for."""
        line, column, end, end_column = self.where(node)
        self.flaws.setdefault(
            (rule, line, column),
            Finding(
                rule=rule,
                line=line,
                column=column,
                end_line=end,
                end_column=end_column,
                severity=Severity.ERROR,
                message=message,
                kind=FindingKind.QUALITY,
            ),
        )

    def ask(self, line: int, effect: Effect | None, message: str) -> None:
        """Note that a line should be asked about."""
        if len(self.asking) < _MOST_FOUND:
            self.asking.setdefault((effect is Effect.CONTROL_WRITE, line), _sayable(message))

    def write(self, channel: str | None, value: str | None, line: int) -> None:
        """Note a channel that would be written."""
        if len(self.targets) < 2000:
            self.targets.setdefault((channel, line, value), WriteTarget(channel=channel, value=value, line=line))
        else:
            self.targets.setdefault((None, 0, None), WriteTarget(channel=None, value=None, line=line))

    def source(self, node: ast.AST) -> str | None:
        """Return the source of an expression that stands on one line, shortened where it is long."""
        line, column, end, end_column = self.where(node)
        if end is None or end_column is None or not 0 < line <= end <= len(self.lines):
            return None
        if line == end:
            text = self.lines[line - 1][column - 1 : end_column - 1]
        else:
            rows = [
                self.lines[line - 1][column - 1 :],
                *self.lines[line : end - 1],
                self.lines[end - 1][: end_column - 1],
            ]
            text = " ".join(row.strip() for row in rows[:20])
        return text if len(text) <= 200 else text[:199] + "…"

    def take(self, node: ast.AST, ref: Ref) -> None:
        """Note that a write function is used as a value."""
        line, column, _, _ = self.where(node)
        self.taken[line, column] = ref.path


def _sayable(text: str) -> str:
    """Return `text` with `*` for what is not known of it, and half characters, which no report can hold, as escapes."""
    if text.isascii():
        return text
    return text.replace(HOLE, "*").encode("utf-8", "backslashreplace").decode("utf-8")


def channel_names(held: Value) -> list[str | None]:
    """Return the channel names in a value, patterns with `*`; None among them: it may be any."""
    names: dict[str | None, None] = {}
    for atom in _flat(held):
        if isinstance(atom, Const) and isinstance(atom.value, str):
            # No channel can have half a character in its name, and no report can hold one.
            names[atom.value if _sayable(atom.value) == atom.value else None] = None
        elif isinstance(atom, Pattern):
            shown = _sayable(holes(atom.text))
            names[shown if shown.strip("*") else None] = None
        else:
            names[None] = None
    return list(names) or [None]


def _flat(held: Value) -> Value:
    found: list[Any] = []
    for atom in held:
        if isinstance(atom, Box) and atom.mapping:
            # What is written by a dictionary is named by its keys.
            found.extend(Const(key) for key in atom.items)
            found.extend(() if atom.exact and not atom.rest else UNKNOWN)
        elif isinstance(atom, Box):
            inside = [*atom.items.values(), atom.rest]
            for value in inside:
                found.extend(value)
        else:
            found.append(atom)
    return tuple(found)
