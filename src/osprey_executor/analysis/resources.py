"""Programs without an end: loops that nothing ends, functions that only call themselves."""

from __future__ import annotations

import ast
import re

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.quality import never_ends
from osprey_executor.analysis.values import Class, Const, Func, Ref
from osprey_executor.models import Effect, Severity

_ENDLESS_ITERATORS = frozenset(("itertools.count", "itertools.cycle", "itertools.repeat"))
_STRAIGHT = (
    ast.Expr,
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.Return,
    ast.FunctionDef,
    ast.Import,
    ast.ImportFrom,
)
"""Statements that let the next one run, or end."""
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
    if isinstance(call, ast.Name) and _grows(call.id, node.body):
        _endless(m, node)
    if not isinstance(call, ast.Call):
        return
    path = next((atom.path for atom in m.peek(call.func) if isinstance(atom, Ref)), "")
    endless = path in _ENDLESS_ITERATORS and not (path == "itertools.repeat" and len(call.args) > 1)
    endless = endless or (path == "builtins.iter" and len(call.args) == 2)
    if endless and never_ends(ast.While(test=ast.Constant(value=True), body=node.body, orelse=[])):
        _endless(m, node)


def _grows(name: str, body: list[ast.stmt]) -> bool:
    """Return whether a loop over a list puts something into that list in each turn, and nothing ends it."""
    adds = any(
        isinstance(one, ast.Expr)
        and isinstance(one.value, ast.Call)
        and isinstance(one.value.func, ast.Attribute)
        and one.value.func.attr in ("append", "extend", "insert")
        and isinstance(one.value.func.value, ast.Name)
        and one.value.func.value.id == name
        for one in body
    )
    return adds and never_ends(ast.While(test=ast.Constant(value=True), body=body, orelse=[]))


def _endless(m: Machine, node: ast.stmt) -> None:
    m.find(
        node,
        "resource/endless-loop",
        Effect.RESOURCE,
        "loops without an end: it takes processor time, and what it collects takes memory, until the run is stopped",
        Severity.WARNING,
    )


def check_recursion(m: Machine, func: Func) -> None:
    """Note a function that calls itself, or the class that it makes an object of, before anything could end it."""
    node = func.node
    if isinstance(node, ast.Lambda):
        return
    makes = {
        made.name
        for made in m.made.values()
        if node.name == "__init__" and isinstance(made, Class) and func in made.attributes.get("__init__", ())
    }
    first = next((arg.arg for arg in (*node.args.posonlyargs, *node.args.args)), "")
    for statement in node.body[:50]:
        if not isinstance(statement, _STRAIGHT):
            return
        if isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom):
            continue
        for part in ast.walk(statement):
            if isinstance(part, ast.Lambda | ast.IfExp | ast.BoolOp | ast.comprehension):
                break
            if isinstance(part, ast.Call) and _calls(part.func, node.name, makes, first):
                told = f"{node.name} calls itself before anything can end it"
                m.find(part, "resource/endless-recursion", Effect.RESOURCE, told, Severity.WARNING)
                return
        if isinstance(statement, ast.Return):
            return


def _calls(called: ast.expr, name: str, makes: set[str], first: str) -> bool:
    if isinstance(called, ast.Name):
        return called.id == name or called.id in makes
    own = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == first
    return own and bool(first) and isinstance(called, ast.Attribute) and called.attr == name
