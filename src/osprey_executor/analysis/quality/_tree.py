"""What the nodes of a program tell: what it imports, where `results` is set, which loops may not end."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from osprey_executor.analysis.quality._loops import suppressed_by

Place = tuple[int, int]
_NO_MODULE = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))
LOOKED_AT = frozenset(
    (
        *(ast.Import, ast.ImportFrom, ast.Try, ast.TryStar, ast.If, ast.Name, ast.Call, ast.While, ast.Constant),
        *(ast.With, ast.AsyncWith, ast.Delete),
    )
)
"""Kinds of nodes that tell something here."""


@dataclass
class Seen:
    """What the nodes told; places are line and column from 1."""

    imports: dict[str, Place] = field(default_factory=dict[str, Place])
    """Roots of modules that must be there: those in a `try` that expects otherwise are left out."""
    written: set[str] = field(default_factory=set[str])
    """Modules that the program may write itself."""
    results: Place | None = None
    """Where it is set at last."""
    fills_results: bool = False
    """Whether `results` goes to a function, which may add keys."""
    dropped: dict[str, Place] = field(default_factory=dict[str, Place])
    """Keys that are taken out of `results` again; an empty one stands for all of it."""
    publishes: bool = False
    sets_globals: bool = False
    unending: list[ast.While] = field(default_factory=list[ast.While])
    """Loops whose test is a true constant."""


def look(nodes: Iterable[ast.AST]) -> Seen:
    """Look at the nodes of a program that tell something, parents before what is in them."""
    seen = Seen()
    spared: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            if node.id == "results" and isinstance(node.ctx, ast.Store):
                seen.results = max(seen.results or (0, 0), (node.lineno, node.col_offset + 1))
        elif isinstance(node, ast.Call):
            _call(seen, node)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value.endswith(".py"):
                seen.written.add(node.value.removesuffix(".py").rpartition("/")[2])
        elif isinstance(node, ast.Import | ast.ImportFrom):
            if id(node) not in spared:
                _import(seen, node)
        elif isinstance(node, ast.Try | ast.TryStar):
            if any(_expects_no_module(handler.type) for handler in node.handlers):
                spared.update(id(inner) for part in node.body for inner in ast.walk(part))
                for handler in node.handlers:
                    spared.update(id(inner) for part in handler.body for inner in ast.walk(part))
        elif isinstance(node, ast.With | ast.AsyncWith):
            if any(suppressed_by(item.context_expr) & _NO_MODULE for item in node.items):
                spared.update(id(inner) for part in node.body for inner in ast.walk(part))
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                _dropped(seen, target)
        elif isinstance(node, ast.If):
            if any(isinstance(part, ast.Attribute) and part.attr == "modules" for part in ast.walk(node.test)):
                seen.written.update(_texts(node.test))
            if _is_type_checking(node.test):
                spared.update(id(inner) for part in node.body for inner in ast.walk(part))
        elif isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            seen.unending.append(node)
    return seen


def _import(seen: Seen, node: ast.Import | ast.ImportFrom) -> None:
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""] if not node.level else []
    else:
        names = [alias.name for alias in node.names]
    for name in names:
        if root := name.partition(".")[0]:
            seen.imports.setdefault(root, (node.lineno, node.col_offset + 1))


def _call(seen: Seen, node: ast.Call) -> None:
    func = node.func
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    if name in ("find_spec", "find_loader"):
        seen.written.update(_texts(node))
    if name in ("pop", "clear") and isinstance(func, ast.Attribute) and _is_results(func.value):
        known = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if name == "clear" or isinstance(known, str):
            seen.dropped[str(known or "")] = node.lineno, node.col_offset + 1
    seen.publishes = seen.publishes or name == "publish"
    seen.sets_globals = seen.sets_globals or name in ("globals", "vars", "exec", "eval", "setattr")
    if any(isinstance(arg, ast.Name) and arg.id == "results" for arg in node.args) and name not in ("print", "len"):
        seen.fills_results = True


def _expects_no_module(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = {part.id for part in ast.walk(kind) if isinstance(part, ast.Name)}
    return bool(names & _NO_MODULE)


def _texts(node: ast.AST) -> set[str]:
    """Return the roots of modules that are named in texts: the program looks whether they are there."""
    parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return {part.partition(".")[0] for part in parts if isinstance(part, str)}


def _is_results(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "results"


def _dropped(seen: Seen, target: ast.expr) -> None:
    place = target.lineno, target.col_offset + 1
    if _is_results(target):
        seen.dropped[""] = place
    elif isinstance(target, ast.Subscript) and _is_results(target.value) and isinstance(target.slice, ast.Constant):
        seen.dropped[str(target.slice.value)] = place


def set_again(tree: ast.Module, key: str, after: Place) -> bool:
    """Return whether `results`, or a key of it, is set behind a place."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or node.id != "results" or (node.lineno, node.col_offset + 1) <= after:
            continue
        if isinstance(node.ctx, ast.Store) or key:
            return True
    return False


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
