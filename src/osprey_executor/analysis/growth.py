"""What a loop lets grow by itself: texts that double, numbers raised to themselves."""

from __future__ import annotations

import ast
from math import log2

from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.sizes import MOST, MUCH, found_much
from osprey_executor.analysis.values import Box, Const, Unknown, is_text
from osprey_executor.models import Confidence, Effect, Severity

_TOWER, _SQUARES = 3, 30
"""Turns in which `x ** x` and `x * x` are beyond the memory of a run."""


def check_growth(m: Machine, node: ast.For | ast.AsyncFor | ast.While, turns: int | None) -> None:
    """Note `text = text * 10`, `x = x ** x` and their kin in a loop; `turns` None: nobody knows how many."""
    for one in node.body if turns is None or turns > 1 else ():
        name = _target(one) if type(one) is ast.Assign or type(one) is ast.AugAssign else None
        if name is None:
            continue
        times = _times(one, name)
        if times > 1 and _is_long(m, name):
            if turns is not None:
                if turns * log2(times) >= log2(MUCH):
                    found_much(m, one, int(min(2.0 ** min(turns * log2(times), 60), MOST)))
            elif not _may_end(node, name):
                _found(m, one)
        elif (enough := _with_itself(one, name)) and _may_be_whole(m, name, sure=enough > _TOWER):
            known = turns if turns is not None else 0 if _may_end(node, name) else _TOWER
            if enough <= known:
                _found(m, one)


def _found(m: Machine, node: ast.AST) -> None:
    told = "grows beyond all bounds in a few turns of its loop: it takes more memory and time than a run has"
    m.find(node, "resource/much-memory", Effect.RESOURCE, told, Severity.WARNING, confidence=Confidence.POSSIBLE)


def _may_end(node: ast.For | ast.AsyncFor | ast.While, name: str) -> bool:
    """Return whether what grows in a loop may end it: its test looks at it, or something breaks."""
    test = ast.walk(node.test) if isinstance(node, ast.While) else ()
    return any(isinstance(part, ast.Name) and part.id == name for part in test) or any(
        isinstance(part, ast.Break | ast.Return | ast.Raise) for part in ast.walk(node)
    )


def _target(node: ast.stmt) -> str | None:
    """Return the one name that a statement sets."""
    if isinstance(node, ast.AugAssign):
        target: ast.expr = node.target
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _operation(node: ast.stmt, name: str) -> tuple[ast.operator | None, list[ast.expr], int]:
    """Return the operator of `x += y` or `x = x + y`, what stands beside `x`, and how often `x` stands there."""
    if isinstance(node, ast.AugAssign):
        return node.op, [node.value], 1 + _is(node.value, name)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        sides = [node.value.left, node.value.right]
        return node.value.op, [one for one in sides if not _is(one, name)], sum(_is(one, name) for one in sides)
    return None, [], 0


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _times(node: ast.stmt, name: str) -> int:
    """Return how often what a name holds stands in what it holds after a statement; 1 where that is not to be seen."""
    operator, others, count = _operation(node, name)
    if isinstance(operator, ast.Add):
        return max(count, 1)
    known = others[0] if others else None
    if not isinstance(operator, ast.Mult) or not count or not isinstance(known, ast.Constant):
        return 1
    return known.value if isinstance(known.value, int) else 1


def _with_itself(node: ast.stmt, name: str) -> int:
    """Return after how many turns `x = x ** x` or `x *= x` is too large; 0 for any other statement."""
    operator, _, count = _operation(node, name)
    if count < 2:
        return 0
    return _TOWER if isinstance(operator, ast.Pow) else _SQUARES if isinstance(operator, ast.Mult) else 0


def _is_long(m: Machine, name: str) -> bool:
    return any(is_text(atom) or isinstance(atom, Box) for atom in m.lookup(name) or ())


def _may_be_whole(m: Machine, name: str, *, sure: bool) -> bool:
    """Return whether a name may hold a whole number, which grows by itself; others end in an error or infinity."""
    for atom in m.lookup(name) or ():
        if isinstance(atom, Unknown) and not sure:
            continue
        if not isinstance(atom, Const) or type(atom.value) is not int or abs(atom.value) < 2:
            return False
    return True
