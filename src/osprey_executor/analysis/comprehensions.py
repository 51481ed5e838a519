"""Comprehensions: items that are known are gone through one by one, others stand for each other."""

from __future__ import annotations

import ast
from typing import Any

from osprey_executor.analysis import boxes, loops, sizes
from osprey_executor.analysis.machine import Machine
from osprey_executor.analysis.protocols import iterated
from osprey_executor.analysis.targets import assign
from osprey_executor.analysis.values import (
    UNKNOWN,
    Atom,
    Box,
    Const,
    Func,
    Method,
    Ref,
    Unknown,
    Value,
    consts,
    contents,
    joined,
)

_MOST_ITEMS = 128
_LONG = 100
_ONLY_INT, _ONLY_STR = {int}, {str}


def comprehension(m: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
    box = m.made.setdefault(id(node), Box())
    assert isinstance(box, Box)
    m.scope.begin()
    generators = node.generators
    turns = m.turns
    if len(generators) == 1 and not generators[0].ifs:
        target, elt = generators[0].target, node.elt
        items = iterated(m, node, m.eval(generators[0].iter))
        m.turns *= m.counts.get(id(generators[0].iter), 1)
        if boxes.is_exact(items) and len(each := boxes.each(items)) <= _MOST_ITEMS:
            known = _texts(m, target, elt, each) or _same_for_all(m, node, target, elt, each)
            if known is None:
                known = list[Value]()
                for item in each:
                    assign(m, target, item, node)
                    known.append(m.eval(elt))
            boxes.fill(m, box, known)
        else:
            assign(m, target, contents(items) or UNKNOWN, node)
            boxes.add(m, box, m.eval(elt))
    else:
        _generators(m, generators, node)
        boxes.add(m, box, m.eval(node.elt))
    m.turns = turns
    m.scope.roll_back(m.scope.end())
    sizes.check_comprehension(m, node)
    if not isinstance(node, ast.GeneratorExp):
        _check_ends(m, node)
    return (box,)


def _check_ends(m: Machine, node: ast.ListComp | ast.SetComp | ast.DictComp) -> None:
    for generator in node.generators:
        loops.check_collected(m, node, generator.iter)


def _generators(m: Machine, generators: list[ast.comprehension], node: ast.AST) -> None:
    for generator in generators:
        assign(m, generator.target, contents(iterated(m, node, m.eval(generator.iter))) or UNKNOWN, node)
        for test in generator.ifs:
            m.eval(test)


def dict_comprehension(m: Machine, node: ast.DictComp) -> Value:
    box = m.made.setdefault(id(node), Box(mapping=True))
    assert isinstance(box, Box)
    m.scope.begin()
    generators = node.generators
    items = iterated(m, node, m.eval(generators[0].iter)) if len(generators) == 1 and not generators[0].ifs else UNKNOWN
    if boxes.is_exact(items) and len(each := boxes.each(items)) <= _MOST_ITEMS:
        target = generators[0].target
        known = _same_for_all(m, node, target, node.value, each)
        keys = isinstance(node.key, ast.Name) and isinstance(target, ast.Name) and node.key.id == target.id
        if known is not None and keys:
            names = [item[0].value for item in each if len(item) == 1 and isinstance(item[0], Const)]
            if not box.items and len(names) == len(each):
                box.items.update(zip(names, known, strict=True))
            else:
                for item, value in zip(each, known, strict=True):
                    boxes.store(m, box, item, value)
            each = []
        for place, item in enumerate(each):
            assign(m, target, item, node)
            boxes.store(m, box, m.eval(node.key), m.eval(node.value) if known is None else known[place])
    else:
        _generators(m, generators, node)
        boxes.store(m, box, m.eval(node.key), m.eval(node.value))
        box.exact = False
    m.scope.roll_back(m.scope.end())
    sizes.check_comprehension(m, node)
    _check_ends(m, node)
    return (box,)


def _texts(m: Machine, target: ast.expr, elt: ast.expr, each: list[Value]) -> list[Value] | None:
    """Return the texts of `f"A:{n}:SP" for n in ...` by the short way; None where it is not that simple.

    Lists of channel names are made so, and make up a good part of what a long program costs.
    """
    if not isinstance(elt, ast.JoinedStr) or not isinstance(target, ast.Name):
        return None
    form: list[str] = []
    for part in elt.values:
        if isinstance(part, ast.Constant):
            form.append(str(part.value).replace("{", "{{").replace("}", "}}"))
            continue
        if not isinstance(part, ast.FormattedValue) or part.conversion >= 0 or not isinstance(part.value, ast.Name):
            return None
        if part.value.id != target.id:
            return None
        spec = part.format_spec
        if spec is None:
            form.append("{0}")
        elif isinstance(spec, ast.JoinedStr) and len(spec.values) == 1 and isinstance(spec.values[0], ast.Constant):
            text = str(spec.values[0].value)
            if len(text) > 3 or not text.isalnum():
                return None
            form.append(f"{{0:{text}}}")
        else:
            return None
    try:
        atoms = [atom for (atom,) in each]
    except ValueError:  # one of them may be several things
        return None
    known: list[Any] = [atom.value for atom in atoms if isinstance(atom, Const)]
    if len(known) < len(each):
        return None
    kinds = set(map(type, known))
    if kinds == _ONLY_INT:
        if not -(10**9) < min(known) <= max(known) < 10**9:
            return None
    elif kinds != _ONLY_STR or max(map(len, known)) >= _LONG:
        return None
    m.budget -= len(each)
    try:
        return consts(map("".join(form).format, known))
    except ValueError:
        return None


def _same_for_all(m: Machine, node: ast.AST, target: ast.expr, elt: ast.expr, each: list[Value]) -> list[Value] | None:
    """Return what `read(name)` gives for each item, where all of them together give nothing that is known.

    Only for calls whose result for one item is among those for all; a decoder, for one, knows more of a single text.
    """
    if len(each) < 2 or not isinstance(elt, ast.Call) or elt.keywords:
        return None
    if not all(isinstance(arg, ast.Name | ast.Constant) for arg in elt.args):
        return None
    parts = [target] if isinstance(target, ast.Name) else ast.walk(target)
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    root = elt.func
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name) or root.id in names:
        return None
    callee = m.peek(elt.func)
    if len(callee) != 1 or not _takes_all(m, callee[0]):
        return None
    mutations = m.mutations
    assign(m, target, joined(each), node)
    made = m.eval(elt)
    defaults = [arg.value for arg in elt.args if isinstance(arg, ast.Constant)]
    nothing_known = all(isinstance(one, Unknown) or (isinstance(one, Const) and one.value in defaults) for one in made)
    return [made] * len(each) if nothing_known and m.mutations == mutations else None


def _takes_all(m: Machine, callee: Atom) -> bool:
    if isinstance(callee, Ref):
        return m.model(callee.path) is None and not callee.path.endswith("?")
    return isinstance(callee, Func | Unknown) or (isinstance(callee, Method) and isinstance(callee.owner, Box))
