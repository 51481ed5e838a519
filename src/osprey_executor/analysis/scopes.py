"""Names and what they hold: in order within one body, joined over time where a closure reads them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from osprey_executor.analysis.values import Const, Func, Pattern, Unknown, Value, join, joined, matters, spent

_MOST_HISTORY = 64


class Place(NamedTuple):
    """Where a name got what it holds: by a statement or definition, or by a call that passes it."""

    node: ast.AST
    source: ast.expr | None
    """The expression that gave the value."""
    scope: Scope | None = None
    """Where `source` is to be read; None: where the name is."""


class Scope:
    """The names of a module, function or class body."""

    __slots__ = (
        "_spent",
        "ever",
        "first_reads",
        "globals",
        "journals",
        "kind",
        "nonlocals",
        "outer",
        "places",
        "readers",
        "vars",
    )

    def __init__(self, kind: str, outer: Scope | None = None) -> None:
        self.kind = kind
        self.outer = outer
        self.vars: dict[str, Value] = {}
        self.ever: dict[str, Value] = {}
        """All that a name ever held: what a closure may see."""
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.readers: dict[str, dict[Func, None]] = {}
        self.places: dict[str, Place] = {}
        """Where a name got what it holds."""
        self.first_reads: set[str] = set()
        """Names read before they were bound in the innermost way: what a loop carries round."""
        self._spent: set[str] = set()
        """Names that held so much that only what is no text or number is still told apart."""
        self.journals: list[dict[str, Value | None]] = []

    def bind(self, name: str, value: Value, changed: Callable[[Func], None]) -> None:
        """Let `name` hold `value` from here on."""
        held = self.vars
        if self.journals and name not in (journal := self.journals[-1]):
            journal[name] = held.get(name)
        held[name] = value
        before = self.ever.get(name)
        if before is value:
            return
        if before is None:
            self.ever[name] = value
            if name in self.readers:
                self._tell(name, value, changed)
            return
        if name in self._spent:
            value = tuple(atom for atom in value if not isinstance(atom, Const | Pattern | Unknown))
        after = join(before, value)
        if after is not before:
            if len(after) > _MOST_HISTORY and name not in self._spent:
                self._spent.add(name)
                after = spent(after)
            self.ever[name] = after
            self._tell(name, value, changed)

    def _tell(self, name: str, value: Value, changed: Callable[[Func], None]) -> None:
        readers = self.readers.get(name)
        if readers and matters(value):
            for func in readers:
                changed(func)

    def forget(self) -> None:
        """Let go of all that is held."""
        for names in (self.vars, self.ever, self.readers, self.places):
            names.clear()
        self.outer = None

    def begin(self) -> None:
        """Begin a way that may not be taken."""
        self.journals.append({})

    def end(self) -> dict[str, Value | None]:
        """End the way; return the names that it bound with what they held before."""
        journal = self.journals.pop()
        if self.journals:
            for name, old in journal.items():
                self.journals[-1].setdefault(name, old)
        return journal

    def roll_back(self, journal: dict[str, Value | None]) -> dict[str, Value]:
        """Undo a way; return what its names held at its end."""
        left = {name: self.vars[name] for name in journal if name in self.vars}
        for name, old in journal.items():
            if old is None:
                self.vars.pop(name, None)
            else:
                self.vars[name] = old
        return left

    def merge(self, ways: list[dict[str, Value]], *, complete: bool) -> None:
        """Join what several ways left; `complete`: one of them was surely taken."""
        names = dict.fromkeys(name for way in ways for name in way)
        for name in names:
            values = [way[name] for way in ways if name in way]
            old = self.vars.get(name)
            if old is not None and (not complete or len(values) < len(ways)):
                values.insert(0, old)
            self.vars[name] = joined(values)
