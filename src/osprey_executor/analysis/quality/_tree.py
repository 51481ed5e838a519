"""What one walk over the tree of a program tells: what it imports, where `results` is set, which loops never end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

Place = tuple[int, int]
_WAITS = frozenset(
    (
        *("sleep", "wait", "wait_for", "poll", "select", "recv", "accept", "input", "readline", "result", "acquire"),
        *("pend_event", "pend_io", "run_forever", "run_until_complete", "serve_forever", "epoll", "sigwait", "pause"),
        *("communicate", "recvfrom", "stall", "sleep_until", "wait_for_connection"),
    )
)
_QUEUE = re.compile(r"(^|_)(q|queue|inbox|tasks?|jobs?|events?|work)$")
_ENDS = frozenset(("exit", "_exit", "quit", "abort", "kill", "execv", "execvp", "throw"))

_LOOKED_AT = frozenset(
    (ast.Import, ast.ImportFrom, ast.Try, ast.TryStar, ast.If, ast.Name, ast.Call, ast.While, ast.Constant)
)
_LEAVES = frozenset((ast.Name, ast.Constant, ast.alias, ast.Pass, ast.Break, ast.Continue))
_RING = "_pyflakes_parent"
"""With it each node holds its parent too, so that only the collector could free the tree."""


@dataclass
class Seen:
    """What the walk found; places are line and column from 1."""

    imports: dict[str, Place] = field(default_factory=dict[str, Place])
    """Roots of modules that must be there: those in a `try` that expects otherwise are left out."""
    written: set[str] = field(default_factory=set[str])
    """Modules that the program may write itself."""
    results: Place | None = None
    fills_results: bool = False
    """Whether `results` goes to a function, which may add keys."""
    publishes: bool = False
    sets_globals: bool = False
    endless: list[Place] = field(default_factory=list[Place])


def look(tree: ast.Module) -> Seen:
    """Walk over `tree` once."""
    seen = Seen()
    spared: set[int] = set()
    for node in _walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if id(node) not in spared:
                _import(seen, node)
        elif isinstance(node, ast.Try | ast.TryStar):
            if any(_expects_no_module(handler.type) for handler in node.handlers):
                spared.update(id(inner) for part in node.body for inner in ast.walk(part))
                for handler in node.handlers:
                    spared.update(id(inner) for part in handler.body for inner in ast.walk(part))
        elif isinstance(node, ast.If):
            if _is_type_checking(node.test):
                spared.update(id(inner) for part in node.body for inner in ast.walk(part))
        elif isinstance(node, ast.Name):
            if node.id == "results" and isinstance(node.ctx, ast.Store) and seen.results is None:
                seen.results = node.lineno, node.col_offset + 1
        elif isinstance(node, ast.Call):
            _call(seen, node)
        elif isinstance(node, ast.While):
            if endless(node):
                seen.endless.append((node.lineno, node.col_offset + 1))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            seen.written.add(node.value.removesuffix(".py").rpartition("/")[2])
    return seen


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are looked at, parents first; a third of the time of `ast.walk`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if type(node) in _LOOKED_AT:
            yield node
        inside = vars(node)
        inside.pop(_RING, None)
        if type(node) in _LEAVES:
            continue
        for value in inside.values():
            if type(value) is list:
                waiting.extend([one for one in cast("list[object]", value) if isinstance(one, ast.AST)])
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context | ast.operator):
                waiting.append(value)


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
    seen.publishes = seen.publishes or name == "publish"
    seen.sets_globals = seen.sets_globals or name in ("globals", "vars", "exec", "eval", "setattr")
    if any(isinstance(arg, ast.Name) and arg.id == "results" for arg in node.args) and name not in ("print", "len"):
        seen.fills_results = True


def _expects_no_module(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = {part.id for part in ast.walk(kind) if isinstance(part, ast.Name)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def endless(node: ast.While) -> bool:
    """Return whether a `while True` has neither an end nor a wait in it."""
    test = node.test
    if not (isinstance(test, ast.Constant) and test.value):
        return False
    return not any(_ends(part) or _waits(part) for part in _inside(node.body))


def never_ends(node: ast.While) -> bool:
    """Return whether a `while True` has no end in it, whether it waits or not."""
    test = node.test
    return isinstance(test, ast.Constant) and bool(test.value) and not any(_ends(part) for part in _inside(node.body))


def _inside(body: list[ast.stmt], *, depth: int = 0) -> Iterator[tuple[ast.AST, bool]]:
    """Yield what runs in a loop itself, and whether it stands in an inner loop; bodies of functions are left out."""
    waiting: list[tuple[ast.AST, bool]] = [(part, False) for part in reversed(body)]
    while waiting:
        node, inner = waiting.pop()
        yield node, inner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        deeper = inner or isinstance(node, ast.For | ast.While | ast.AsyncFor)
        waiting.extend((child, deeper) for child in ast.iter_child_nodes(node))


def _ends(part: tuple[ast.AST, bool]) -> bool:
    node, inner = part
    if isinstance(node, ast.Break):
        return not inner
    if isinstance(node, ast.Return | ast.Raise | ast.Assert):
        return True
    return isinstance(node, ast.Call) and _last(node.func) in _ENDS


def _waits(part: tuple[ast.AST, bool]) -> bool:
    node, _ = part
    if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.AsyncWith | ast.AsyncFor):
        return True
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr == "get":
        return bool(_QUEUE.search(_last(func.value).lower()))
    return _last(func) in _WAITS


def _last(func: ast.expr) -> str:
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
