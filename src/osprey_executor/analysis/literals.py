"""Lists, dictionaries and slices as the source writes them."""

from __future__ import annotations

import ast
from typing import Any

from osprey_executor.analysis import boxes, loops, texts
from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.protocols import iterated
from osprey_executor.analysis.values import (
    HOLE,
    UNKNOWN,
    Box,
    Const,
    Pattern,
    Value,
    contents,
    is_text,
    only_const,
)

_MOST_ELEMENTS = 2000


_DATA = (ast.Constant, ast.UnaryOp)


def slice_of(m: Machine, node: ast.Slice, owner: Value) -> Value:
    bounds: list[Any] = []
    for part in (node.lower, node.upper, node.step):
        exact = only_const(m.eval(part)) if part is not None else Const(None)
        if exact is None or not isinstance(exact.value, int | None):
            bounds.append("?")
        else:
            bounds.append(exact.value)
    if bounds[2] == 0:
        return UNKNOWN
    text = only_const(owner)
    if "?" not in bounds and text is not None:
        return m.charge(texts.sliced(text, slice(*bounds)))
    if any(isinstance(atom, Box) for atom in owner):
        box = m.made.setdefault(("slice", id(node)), Box())
        assert isinstance(box, Box)
        whole = boxes.each(owner) if boxes.is_exact(owner) and "?" not in bounds else None
        if whole is not None and not isinstance(owner[0], Const):
            boxes.fill(m, box, whole[slice(*bounds)])
        else:
            boxes.add(m, box, contents(owner))
        return (box,)
    return (Pattern(HOLE),) if any(is_text(atom) for atom in owner) else owner


def sequence(m: Machine, node: ast.List | ast.Tuple | ast.Set) -> Value:
    box = m.made.setdefault(id(node), Box())
    assert isinstance(box, Box)
    if len(node.elts) > _MOST_ELEMENTS and all(isinstance(item, _DATA) for item in node.elts):
        box.rest = (Pattern(HOLE), *UNKNOWN) if any(_is_text(item) for item in node.elts) else UNKNOWN
        box.exact = False
        return (box,)
    values: list[Value] = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            many = iterated(m, item, m.eval(item.value))
            loops.check_collected(m, item, item.value)
            if boxes.is_exact(many):
                values.extend(boxes.each(many))
            else:
                boxes.add(m, box, contents(many))
        else:
            values.append(m.eval(item))
    boxes.fill(m, box, values)
    return (box,)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def dictionary(m: Machine, node: ast.Dict) -> Value:
    box = m.made.setdefault(id(node), Box(mapping=True))
    assert isinstance(box, Box)
    for key, value in zip(node.keys, node.values, strict=True):
        held_there = m.eval(value)
        if key is None:
            boxes.merge(m, box, held_there)
            continue
        boxes.store(m, box, m.eval(key), held_there)
    return (box,)
