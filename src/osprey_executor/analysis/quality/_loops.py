"""Loops that never end and never wait: what ends or waits in one, and which functions of the program do that."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

_WAITS = frozenset(
    (
        *("sleep", "wait", "wait_for", "poll", "select", "recv", "accept", "input", "readline", "result", "acquire"),
        *("pend_event", "pend_io", "run_forever", "run_until_complete", "serve_forever", "epoll", "sigwait", "pause"),
        *("communicate", "recvfrom", "stall", "sleep_until", "wait_for_connection"),
    )
)
_QUEUE = re.compile(r"(^|_)(q|queue|inbox|tasks?|jobs?|events?|work)$")
_ENDS = frozenset(("exit", "_exit", "quit", "abort", "kill", "execv", "execvp", "throw"))
_NOBODY_THROWS = frozenset(("KeyboardInterrupt", "MemoryError", "RecursionError", "SystemExit", "GeneratorExit"))
"""Exceptions that no loop of a run ends by in the course of things."""
_MOST_ROUNDS = 10
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OWN = (*_FUNCTIONS, ast.Lambda, ast.ClassDef)
Part = tuple[ast.AST, bool]


def busy_for_ever(tree: ast.Module, loops: Collection[ast.AST]) -> list[ast.AST]:
    """Return those of some loops that nothing should end that nothing ends, indeed, and in which nothing waits."""
    open_ = [loop for loop in loops if not any(_ends(part) or _waits(part) for part in inside(_body(loop)))]
    if not open_:
        return []
    spared = set(_ended_by_an_exception(tree))
    rests = _helpers(tree)
    return [loop for loop in open_ if id(loop) not in spared and not _calls(inside(_body(loop)), rests)]


def _body(loop: ast.AST) -> list[ast.stmt]:
    return getattr(loop, "body", [])


def never_ends(body: list[ast.stmt], but: Collection[int] = ()) -> bool:
    """Return whether nothing in the body of a loop ends it, waits or not, but the nodes of the ids `but`."""
    return not any(_ends(part) and id(part[0]) not in but for part in inside(body))


def is_exit(node: ast.Call) -> bool:
    """Return whether a call ends the program."""
    return _last(node.func) in _ENDS


def caught_by(handlers: list[ast.ExceptHandler]) -> frozenset[str]:
    """Return the last names of what handlers catch; `BaseException` for one that names nothing."""
    kinds = [handler.type for handler in handlers]
    names = [
        _last(part) for kind in kinds if kind for part in ast.walk(kind) if isinstance(part, ast.Name | ast.Attribute)
    ]
    return frozenset((*names, *(["BaseException"] if None in kinds else [])))


def suppressed_by(context: ast.expr) -> frozenset[str]:
    """Return the last names of what `contextlib.suppress(...)` catches; none for other contexts."""
    if not isinstance(context, ast.Call) or _last(context.func) not in ("suppress", "raises"):
        return frozenset()
    return frozenset(_last(part) for part in context.args)


def _ended_by_an_exception(tree: ast.Module) -> Iterator[int]:
    """Yield the ids of loops around which their function catches an exception that may well come."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, caught = waiting.pop()
        if caught and isinstance(node, ast.While):
            yield id(node)
        if isinstance(node, _OWN):
            caught = False
        within = caught
        if isinstance(node, ast.Try | ast.TryStar):
            within = caught or bool(caught_by(node.handlers) - _NOBODY_THROWS)
        elif isinstance(node, ast.With | ast.AsyncWith):
            within = caught or any(suppressed_by(item.context_expr) - _NOBODY_THROWS for item in node.items)
        protected = {id(part) for part in _body(node)} if within != caught else set[int]()
        waiting.extend((child, within if id(child) in protected else caught) for child in ast.iter_child_nodes(node))


def _helpers(tree: ast.Module) -> set[str]:
    """Return the names of functions of the program that wait, or leave their caller by an exception."""
    made = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    calls: dict[str, set[str]] = {}
    rests: set[str] = set()
    for node in made:
        parts = list(inside(node.body))
        leaves = any(isinstance(part, ast.Raise) or (isinstance(part, ast.Call) and is_exit(part)) for part, _ in parts)
        if leaves or any(_waits(part) for part in parts):
            rests.add(node.name)
        known = calls.setdefault(node.name, set())
        known.update(_last(part.func) for part, _ in parts if isinstance(part, ast.Call))
    for _ in range(_MOST_ROUNDS):
        more = {name for name, called in calls.items() if name not in rests and called & rests}
        if not more:
            break
        rests |= more
    return rests


def _calls(parts: Iterator[Part], names: set[str]) -> bool:
    return any(isinstance(part, ast.Call) and _last(part.func) in names for part, _ in parts)


def inside(body: list[ast.stmt]) -> Iterator[Part]:
    """Yield what runs in a loop itself, and whether it stands in an inner loop; bodies of functions are left out."""
    waiting: list[tuple[ast.AST, bool]] = [(part, False) for part in reversed(body)]
    while waiting:
        node, inner = waiting.pop()
        yield node, inner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        deeper = inner or isinstance(node, ast.For | ast.While | ast.AsyncFor)
        waiting.extend((child, deeper) for child in ast.iter_child_nodes(node))


def _ends(part: Part) -> bool:
    node, inner = part
    if isinstance(node, ast.Break):
        return not inner
    if isinstance(node, ast.Return | ast.Raise | ast.Assert):
        return True
    return isinstance(node, ast.Call) and _last(node.func) in _ENDS


def _waits(part: Part) -> bool:
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
