"""The way that a value took: from the import, by the names that held it, to the call."""

from __future__ import annotations

import ast

from osprey_executor.analysis.scopes import Place, Scope
from osprey_executor.models import Step

_MOST_STEPS = 12
_MOST_TRIED = 24
_CARRIERS = frozenset(
    ("getattr", "partial", "vars", "wraps", "methodcaller", "next", "iter", "Thread", "Timer", "map", "submit", "cast")
)
"""Calls that hand on what they are given: what went in tells more than who was called."""


def way_to(node: ast.AST, scope: Scope) -> tuple[Step, ...]:
    """Return the stations of what is called or set at `node`, the first one first; empty where all is in one line."""
    tracer = _Tracer()
    start: ast.AST = node
    what = "call"
    if isinstance(node, ast.Attribute | ast.Subscript):
        start, what = node.value, "set" if isinstance(node.ctx, ast.Store) else "use"
    elif not isinstance(node, ast.Call):
        what = "use"
    tracer.follow(start, scope)
    line = getattr(node, "lineno", 0)
    stations = list(dict.fromkeys(reversed(tracer.stations)))
    if not any(at != line for _, at in stations):
        return ()
    return tuple(Step(what=name, line=at) for name, at in (*stations[-_MOST_STEPS:], (what, line)))


class _Tracer:
    """Walks backwards from a use to an import, along the expressions that gave the values."""

    def __init__(self) -> None:
        self.stations: list[tuple[str, int]] = []
        """Names, and the lines where they got what they hold."""
        self.seen: set[int] = set()

    def follow(self, node: ast.AST | None, scope: Scope) -> bool:
        """Note the stations before `node`; return whether they lead to an import or definition."""
        if node is None or id(node) in self.seen or len(self.seen) >= _MOST_TRIED:
            return False
        self.seen.add(id(node))
        match node:
            case ast.Name():
                return self._name(node, scope)
            case ast.Attribute() | ast.Subscript() | ast.Starred() | ast.Await() | ast.NamedExpr():
                return self.follow(node.value, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.Lambda():
                return self.follow(node.body, scope)
            case ast.Dict():
                return self._first(node.values, scope)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._first(node.elts, scope)
            case ast.IfExp():
                return self._first([node.body, node.orelse], scope)
            case ast.BoolOp():
                return self._first(node.values, scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._first([node.elt, node.generators[0].iter], scope)
            case ast.DictComp():
                return self._first([node.value, node.generators[0].iter], scope)
            case _:
                return False

    def _first(self, nodes: list[ast.expr], scope: Scope) -> bool:
        for node in nodes[:8]:
            before = len(self.stations)
            if self.follow(node, scope):
                return True
            del self.stations[before:]
        return False

    def _call(self, node: ast.Call, scope: Scope) -> bool:
        func = node.func
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        parts = [*given, func] if name in _CARRIERS else [func, *given]
        return self._first(parts, scope)

    def _name(self, node: ast.Name, scope: Scope) -> bool:
        at: Scope | None = scope
        while at is not None and node.id not in at.places:
            at = at.outer
        if at is None:
            return False
        place: Place = at.places[node.id]
        line = getattr(place.node, "lineno", 0)
        self.stations.append((node.id, line))
        if isinstance(place.node, ast.alias | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return True
        return self.follow(place.source, place.scope or at)
