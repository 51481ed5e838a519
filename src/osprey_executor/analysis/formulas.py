"""Parsers of formulas that evaluate their text as Python, wholly or in part."""

from __future__ import annotations

import ast

from osprey_executor.analysis.dynamic import run_text
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import HOLE, UNKNOWN, Const, Pattern, Ref, Unknown, Value
from osprey_executor.models import Effect, Severity

_PLACES = (0, "expr", "expression", "ex", "a", "s", "source", "formula")


def _formula(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`sympy.sympify(text)`: evaluates its text with `eval`; what is no text stays what it is."""
    name = _name(node)
    for atom in given.get(*((1, "expr") if name == "lambdify" else _PLACES)) or UNKNOWN:
        if isinstance(atom, Const) and isinstance(atom.value, str):
            if "(" in atom.value:
                run_text(m, node, (atom,), "a parser of formulas", mode="eval")
        elif isinstance(atom, Pattern):
            # What a program puts into a formula of its own, a number most likely, is no code of somebody else.
            _evaluates(m, node, ask=not atom.text.strip(HOLE))
        elif isinstance(atom, Unknown) and name not in ("S", "lambdify"):
            _evaluates(m, node, ask=True)
    return UNKNOWN


def _apart(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """A formula in a language of its own, of which ways lead to Python."""
    for atom in given.get(*_PLACES) or UNKNOWN:
        if isinstance(atom, Pattern | Unknown):
            _evaluates(m, node, ask=False)
        elif isinstance(atom, Const) and isinstance(atom.value, str) and "__" in atom.value:
            run_text(m, node, (atom,), "a parser of formulas", mode="eval")
    return None


def _table(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`pandas.eval("@f(x)")` calls what the program has under that name; `engine="python"` lets text do so freely."""
    engine = given.get("engine") or ()
    python = any(isinstance(atom, Const) and atom.value == "python" for atom in engine)
    for atom in given.get(0, "expr") or UNKNOWN:
        if isinstance(atom, Const) and isinstance(atom.value, str) and ("@" in atom.value or "__" in atom.value):
            run_text(m, node, (Const(atom.value.replace("@", "")),), "eval of a table", mode="eval")
        elif isinstance(atom, Unknown) or (isinstance(atom, Pattern) and not atom.text.strip(HOLE)):
            _evaluates(m, node, ask=python)
    return (Ref("pandas.?", True), *UNKNOWN)


def _name(node: ast.AST) -> str:
    func = getattr(node, "func", None)
    return str(getattr(func, "attr", getattr(func, "id", "")))


def _evaluates(m: Machine, node: ast.AST, *, ask: bool) -> None:
    told = "evaluates text that is only known when the program runs"
    m.find(node, "dynamic/unknown-formula", Effect.DYNAMIC_CODE, told, Severity.WARNING, ask=ask)


def _input(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Pattern(HOLE),)


MODELS: dict[str, Model] = {
    "formula": _formula,
    "formula-apart": _apart,
    "frame-text": _table,
    "builtins.input": _input,
}
