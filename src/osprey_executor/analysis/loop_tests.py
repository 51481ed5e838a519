"""Tests of loops: whether anything in a loop can change what its test gives, and what that is."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.values import Box, Const, only_const

_PURE = frozenset(
    ("len", "abs", "min", "max", "sum", "int", "float", "bool", "round", "any", "all", "str", "print", "range", "repr")
)
"""Builtins that leave what they are given as it is."""
_LOOKS = (ast.Compare, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.FormattedValue, ast.Subscript, ast.IfExp)
_DOES_NOTHING = (ast.Pass, ast.Continue)
_CANNOT_BE_LESS = (0, -1)
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_AWAY: dict[type[ast.cmpop], type[ast.operator]] = {
    **dict.fromkeys((ast.Gt, ast.GtE), ast.Add),
    **dict.fromkeys((ast.Lt, ast.LtE), ast.Sub),
}
"""By what a name is compared with its limit: what takes it away from there."""
_TOWARDS: dict[type[ast.cmpop], type[ast.operator]] = {
    **dict.fromkeys((ast.Lt, ast.LtE), ast.Add),
    **dict.fromkeys((ast.Gt, ast.GtE), ast.Sub),
}
_MOST = 10**18
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def never_less(m: Machine, test: ast.expr) -> bool:
    """Return whether a test cannot fail whatever happens: `len(x) >= 0`."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.GtE | ast.Gt):
        return False
    limit = m.peek(test.comparators[0])
    counted = isinstance(test.left, ast.Call) and isinstance(test.left.func, ast.Name) and test.left.func.id == "len"
    least = (-1,) if isinstance(test.ops[0], ast.Gt) else _CANNOT_BE_LESS
    return counted and bool(limit) and all(isinstance(atom, Const) and atom.value in least for atom in limit)


def stays(m: Machine, node: ast.While) -> bool:
    """Return whether nothing in a loop can change what its test gives."""
    names: set[str] = set()
    for part in ast.walk(node.test):
        if isinstance(part, ast.Call):
            if not isinstance(part.func, ast.Name) or part.func.id not in _PURE:
                return False
        elif isinstance(part, ast.Name):
            names.add(part.id)
        elif isinstance(part, ast.Attribute | ast.Subscript):
            # Whatever it belongs to may be known by another name, unless nothing happens in the loop.
            if not all(isinstance(one, _DOES_NOTHING) for one in node.body):
                return False
        elif isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.Lambda | ast.comprehension):
            return False
    names -= _PURE
    return not (names & m.rebound or any(_set_elsewhere(m, name) for name in names)) and not _changed(m, names, node)


def _set_elsewhere(m: Machine, name: str) -> bool:
    """Return whether a name is another body's, which may set it while the loop runs in a thread."""
    if name in m.scope.vars:
        return False
    return len(re.findall(rf"(?m)^\s*{re.escape(name)}\s*=[^=]", "\n".join(m.lines))) != 1


def _changed(m: Machine, names: set[str], node: ast.While) -> bool:
    """Return whether a loop may change one of `names`, or what one of them holds."""
    fixed = {name for name in names if (held := m.lookup(name)) and all(isinstance(atom, Const) for atom in held)}
    seen: set[int] = set()
    for part in _parts(node.body):
        if isinstance(part, ast.Name):
            if part.id in names and not isinstance(part.ctx, ast.Load):
                return True
            if part.id in names - fixed and id(part) not in seen:
                return True
        elif isinstance(part, ast.MatchAs | ast.MatchStar | ast.ExceptHandler):
            if part.name in names:
                return True
        elif isinstance(part, ast.Call):
            called = part.func.id if isinstance(part.func, ast.Name) else ""
            if called in ("exec", "eval", "globals", "locals", "vars"):
                return True
            if called in _PURE:
                seen.update(id(arg) for arg in part.args)
        elif isinstance(part, _LOOKS) and not (isinstance(part, ast.Subscript) and not isinstance(part.ctx, ast.Load)):
            seen.update(id(child) for child in ast.iter_child_nodes(part))
    return False


def _parts(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for one in body:
        yield from ast.walk(one)


def runs_away(m: Machine, node: ast.While) -> bool:
    """Return whether each turn takes a name further from what would end the loop: `while n > 0: n += 1`."""
    if isinstance(node.test, ast.Name):
        return only_grows(node.test.id, node.body)
    stepped = _stepped(m, node)
    return stepped is not None and all(_is_step(one, _AWAY.get(stepped.kind)) for one in stepped.steps)


def turns_of(m: Machine, node: ast.While) -> int:
    """Return how often a loop like `while n < 10**12: n += 1` goes round, 1 where that is not to be seen."""
    stepped = _stepped(m, node)
    if stepped is None or not all(_is_step(one, _TOWARDS.get(stepped.kind)) for one in stepped.steps):
        return 1
    start, limit = only_const(m.peek(stepped.name)), only_const(m.peek(stepped.limit))
    step = sum(_size(one) for one in stepped.steps)
    if start is None or limit is None or not all(isinstance(one.value, int | float) for one in (start, limit)):
        return 1
    try:
        return max(int(abs(limit.value - start.value) / step), 1)
    except (OverflowError, ValueError):  # of a limit that is none, or has no end
        return _MOST


class _Stepped(NamedTuple):
    """A loop that compares a name with a limit, and changes the name by steps only."""

    name: ast.Name
    kind: type[ast.cmpop]
    limit: ast.expr
    steps: list[ast.AugAssign]


def _stepped(m: Machine, node: ast.While) -> _Stepped | None:
    test = node.test
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    name, limit, kind = test.left, test.comparators[0], type(test.ops[0])
    if not isinstance(name, ast.Name):
        name, limit = limit, name
        kind = _TURNED.get(kind, kind)
    if not isinstance(name, ast.Name) or isinstance(limit, ast.Name | ast.Call | ast.Attribute | ast.Subscript):
        return None
    sets = [one for one in _parts(node.body) if isinstance(one, ast.Name) and one.id == name.id and _is_set(one)]
    steps = [one for one in node.body if isinstance(one, ast.AugAssign) and one.target in sets]
    if not steps or len(steps) < len(sets) or name.id in m.rebound:
        return None
    return _Stepped(name, kind, limit, steps)


def _is_set(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _size(node: ast.AugAssign) -> float:
    value = node.value.value if isinstance(node.value, ast.Constant) else 0
    return value if isinstance(value, int | float) else 0


def _is_step(node: ast.AugAssign, away: type[ast.operator] | None) -> bool:
    value = node.value.value if isinstance(node.value, ast.Constant) else None
    return type(node.op) is away and isinstance(value, int | float) and value > 0


def only_grows(name: str, body: list[ast.stmt]) -> bool:
    """Return whether a loop puts something into a list in each turn, and takes nothing out of it."""
    grows = False
    for one in body:
        call = one.value if isinstance(one, ast.Expr) else None
        if isinstance(call, ast.Call) and _method_of(call, name) in ("append", "extend", "insert"):
            grows = True
    shrinks = any(
        (isinstance(part, ast.Call) and _method_of(part, name) in ("pop", "popleft", "clear", "remove"))
        or (isinstance(part, ast.Name) and part.id == name and _is_set(part))
        or isinstance(part, ast.Delete)
        for part in (_parts(body) if grows else ())
    )
    return grows and not shrinks


def _method_of(call: ast.Call, name: str) -> str:
    func = call.func
    own = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == name
    return func.attr if own and isinstance(func, ast.Attribute) else ""


def truth(m: Machine, test: ast.expr) -> bool | None:
    """Return whether a test is true as things stand; None: nobody knows."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = truth(m, test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        known = [truth(m, part) for part in test.values]
        decides = isinstance(test.op, ast.Or)
        if decides in known:
            return decides
        return None if None in known else not decides
    if isinstance(test, ast.Compare):
        return _compared(m, test)
    return _one([_is_true(atom) for atom in m.peek(test)])


def _is_true(atom: object) -> bool | None:
    if isinstance(atom, Const):
        return bool(atom.value)
    return True if isinstance(atom, Box) and atom.items else None


def _compared(m: Machine, test: ast.Compare) -> bool | None:
    sides = [_constants(m, side) for side in (test.left, *test.comparators)]
    if not all(sides) or any(len(side) > 8 for side in sides):
        return None
    for place, kind in enumerate(test.ops):
        compare = _COMPARED.get(type(kind))
        if compare is None:
            return None
        try:
            one = _one(compare(a, b) for a in sides[place] for b in sides[place + 1])
        except TypeError:
            return None
        if one is not True:
            return one
    return True


def _constants(m: Machine, node: ast.expr) -> list[Any]:
    """Return all constants that an expression may be; none where it may be something else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
        held = m.peek(node.args[0])
        known = [len(one.items) for one in held if isinstance(one, Box) and one.exact and not one.rest]
        return known if len(known) == len(held) else []
    held = m.peek(node)
    known = [one.value for one in held if isinstance(one, Const)]
    return known if len(known) == len(held) else []


def _one(known: Iterable[bool | None]) -> bool | None:
    """Return what all of `known` are; None where they differ."""
    seen = set(known)
    return seen.pop() if len(seen) == 1 else None
