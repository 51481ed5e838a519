"""Programs without an end: loops that nothing ends, sizes that nothing holds, functions that only call themselves."""

from __future__ import annotations

import ast

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.quality import never_ends
from osprey_executor.analysis.values import Box, Const, Ref, Value, only_const
from osprey_executor.models import Effect, Severity

_MUCH = 500_000_000
"""Elements; the memory of a run is 2 GiB unless the site says otherwise."""
_ENDLESS_ITERATORS = frozenset(("itertools.count", "itertools.cycle", "itertools.repeat"))
SIZED = frozenset(
    (
        *("bytearray", "bytes", "zeros", "ones", "empty", "full", "rand", "randn", "random", "arange", "urandom"),
        *("token_bytes", "create_string_buffer", "list", "normal", "uniform"),
    )
)
"""Last names of what makes as many elements as its arguments say."""


def check_while(m: Machine, node: ast.While) -> None:
    """Note a loop that nothing in it ends."""
    if never_ends(node):
        _endless(m, node)


def check_for(m: Machine, node: ast.For | ast.AsyncFor) -> None:
    """Note a loop over an iterator without end that nothing in it ends."""
    call = node.iter
    if not isinstance(call, ast.Call):
        return
    path = next((atom.path for atom in m.peek(call.func) if isinstance(atom, Ref)), "")
    endless = path in _ENDLESS_ITERATORS and not (path == "itertools.repeat" and len(call.args) > 1)
    endless = endless or (path == "builtins.iter" and len(call.args) == 2)
    if endless and never_ends(ast.While(test=ast.Constant(value=True), body=node.body, orelse=[])):
        _endless(m, node)


def _endless(m: Machine, node: ast.stmt) -> None:
    m.find(
        node,
        "resource/endless-loop",
        Effect.RESOURCE,
        "loops without an end: it takes processor time, and what it collects takes memory, until the run is stopped",
        Severity.WARNING,
    )


def check_product(m: Machine, node: ast.AST, first: Value, second: Value) -> None:
    """Note `'x' * 10**10` and `[0] * 10**10`."""
    for value, other in ((first, second), (second, first)):
        count = only_const(value)
        if count is None or not isinstance(count.value, int) or isinstance(count.value, bool):
            continue
        long = any(not isinstance(atom, Const) or isinstance(atom.value, str | bytes) for atom in other)
        if long and count.value >= _MUCH // 8 and not all(type(atom).__name__ == "Unknown" for atom in other):
            _much(m, node, count.value)


def check_size(m: Machine, node: ast.AST, args: tuple[Value, ...]) -> None:
    """Note `bytearray(10**10)` and `numpy.zeros((10**5, 10**5))`."""
    size = 1
    for value in args[:4]:
        for atom in value:
            parts = list(atom.items.values()) if isinstance(atom, Box) else [value]
            for part in parts[:8]:
                known = only_const(part)
                if known is not None and isinstance(known.value, int | float) and known.value > 1:
                    size *= int(min(known.value, 10**18))
    if size >= _MUCH:
        _much(m, node, size)


def _much(m: Machine, node: ast.AST, count: int) -> None:
    m.find(
        node,
        "resource/much-memory",
        Effect.RESOURCE,
        f"makes {count:,} elements at once, more than the memory of a run holds",
        Severity.WARNING,
    )


def check_recursion(m: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
    """Note a function that calls itself before anything could end it."""
    if isinstance(node, ast.Lambda):
        return
    for statement in node.body[:50]:
        if isinstance(statement, ast.Expr | ast.Assign | ast.Return | ast.AugAssign):
            for part in ast.walk(statement):
                if isinstance(part, ast.Lambda | ast.IfExp | ast.BoolOp | ast.comprehension):
                    break
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == node.name:
                    m.find(
                        part,
                        "resource/endless-recursion",
                        Effect.RESOURCE,
                        f"{node.name} calls itself before anything can end it",
                        Severity.WARNING,
                    )
                    return
        if not isinstance(
            statement, ast.Expr | ast.Assign | ast.AugAssign | ast.AnnAssign | ast.FunctionDef | ast.Import
        ):
            return
