"""Functions without an end: they call themselves, or start themselves, before anything could end that."""

from __future__ import annotations

import ast

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.values import Class, Func
from osprey_executor.models import Effect, Severity

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
