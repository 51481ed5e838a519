"""Programs without an end: loops that nothing ends, functions that only call themselves."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.quality import never_ends
from osprey_executor.analysis.values import Const, Ref
from osprey_executor.models import Effect, Severity

_ENDLESS_ITERATORS = frozenset(("itertools.count", "itertools.cycle", "itertools.repeat"))
_CANNOT_BE_LESS = (0, -1)
_GLOBAL = re.compile(r"^\s*(global|nonlocal)\b")


def check_while(m: Machine, node: ast.While) -> None:
    """Note a loop that nothing in it ends."""
    if _always_true(m, node) and never_ends(ast.While(test=ast.Constant(value=True), body=node.body, orelse=[])):
        _endless(m, node)


def _always_true(m: Machine, node: ast.While) -> bool:
    """Return whether the test of a loop cannot fail: `1`, `not False`, `len(x) >= 0`, a name never set again."""
    test, turned = node.test, False
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, turned = test.operand, not turned
    if isinstance(test, ast.Constant):
        return bool(test.value) != turned
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, right = test.left, test.comparators[0]
        limit = m.peek(right)
        if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
            return not turned and isinstance(test.ops[0], ast.Eq | ast.Is) and left.value == right.value
        counted = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "len"
        zero = bool(limit) and all(isinstance(atom, Const) and atom.value in _CANNOT_BE_LESS for atom in limit)
        return counted and zero and not turned and isinstance(test.ops[0], ast.GtE)
    if isinstance(test, ast.Name):
        held = m.peek(test)
        stays = not any(
            isinstance(part, ast.Name) and part.id == test.id for one in node.body for part in ast.walk(one)
        )
        known = all(isinstance(atom, Const) and bool(atom.value) != turned for atom in held)
        return stays and bool(held) and known and not any(_GLOBAL.search(line) and test.id in line for line in m.lines)
    return False


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
