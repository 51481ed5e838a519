"""What each kind of expression gives."""

from __future__ import annotations

import ast
import builtins

from osprey_executor.analysis import blowups, boxes, functions, loops, sizes, texts, told
from osprey_executor.analysis.comprehensions import comprehension, dict_comprehension
from osprey_executor.analysis.files import check_writer, is_writer
from osprey_executor.analysis.literals import dictionary, sequence, slice_of
from osprey_executor.analysis.lookups import attribute_of, item_of
from osprey_executor.analysis.machine import NO_ARGUMENTS, NO_KEYWORDS, Arguments, Handler, Machine
from osprey_executor.analysis.places import is_sensitive, what_lies_at
from osprey_executor.analysis.plain import sheltered
from osprey_executor.analysis.protocols import iterated, operated
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Box,
    Class,
    Const,
    Obj,
    Pattern,
    Ref,
    Unknown,
    Value,
    contents,
    is_text,
    join,
    joined,
    only_const,
    spelling,
)
from osprey_executor.models import Confidence, Effect, Severity
from osprey_executor.text import one_line

_TABLES = frozenset(("pandas", "numpy", "xarray", "polars", "dask", "geopandas", "matplotlib", "seaborn"))
"""Libraries whose objects are computed with."""
_MOST_BITS = 4096
"""Longer numbers cannot be written as text, and mean nothing here."""
_BUILTINS: dict[str, Value] = {
    **{word: (Ref(f"builtins.{word}"),) for word in (*dir(builtins), "__file__", "__name__")},
    "__builtins__": (Ref("builtins"),),
}


def constant(m: Machine, node: ast.Constant) -> Value:
    if type(node.value) is int and node.value.bit_length() > _MOST_BITS:
        return UNKNOWN
    return (Const(node.value),)


def name(m: Machine, node: ast.Name) -> Value:
    scope, word = m.scope, node.id
    if word not in scope.globals:
        # What `m.lookup` would do, without a call: names are a third of all expressions.
        if scope.journals and word not in scope.journals[-1]:
            scope.first_reads.add(word)
        found = scope.vars.get(word)
        if found is not None:
            return found
    if scope.outer is not None and (found := m.lookup_around(word)) is not None:
        return found
    if word in _BUILTINS:
        return _BUILTINS[word]
    if m.stars and (starred := m.from_star(node.id)):
        return starred
    bare = m.catalogue.bare.get(node.id)
    return (Ref(bare),) if bare else UNKNOWN


def attribute(m: Machine, node: ast.Attribute) -> Value:
    return attribute_of(m, node, m.peek(node.value), node.attr)


def call(m: Machine, node: ast.Call) -> Value:
    func = node.func
    if type(func) is ast.Attribute:
        attr = func.attr
        owner = m.peek(func.value)
        callee = attribute_of(m, func, owner, attr)
        given = arguments(m, node)
        if attr in told.STATEMENTS:
            told.check_statement(m, node, owner, given)
        if is_writer(attr) and all(isinstance(atom, Unknown) for atom in callee):
            check_writer(m, node, attr, given)
        if attr == "__subclasses__" and not any(isinstance(atom, Class) for atom in owner):
            m.find(
                node,
                "opaque/all-classes",
                Effect.OPAQUE,
                "looks through all classes of the interpreter, from where anything can be reached",
                Severity.WARNING,
                ask=True,
            )
        if m.imported and attr in m.catalogue.hints and _nobody_knows(owner, callee):
            m.find(
                node,
                "opaque/unresolved-write",
                Effect.OPAQUE,
                f"the program uses {', '.join(sorted(m.imported)[:3])}, and nobody can tell what object "
                f"`.{attr}(...)` is called on",
                Severity.WARNING,
                ask=True,
            )
            m.write(None, None, m.where(node)[0])
    else:
        callee = m.peek(func)
        given = arguments(m, node)
    if given.keywords and not told.LETTING.isdisjoint(given.keywords):
        told.check_keywords(m, node, given)
    return m.semantics.caller(m, node, callee, given)


def _nobody_knows(owner: Value, callee: Value) -> bool:
    """Return whether nothing tells what is called: an object that has no such method must be another one."""
    if all(isinstance(atom, Unknown) for atom in owner):
        return True
    return all(isinstance(atom, Unknown) for atom in callee) and all(isinstance(atom, Unknown | Obj) for atom in owner)


def arguments(m: Machine, node: ast.Call) -> Arguments:
    """Return the arguments of a call, evaluated."""
    if not node.args and not node.keywords:
        return NO_ARGUMENTS
    args: list[Value] = []
    nodes: dict[int | str, ast.expr] = {}
    complete, sensitive = True, m.sensitive
    for arg in node.args:
        if type(arg) is ast.Starred:
            many = iterated(m, arg, m.eval(arg.value))
            loops.check_collected(m, arg, arg.value)
            if boxes.is_exact(many) and complete:
                args.extend(boxes.each(many))
            else:
                args.append(contents(many) or UNKNOWN)
                complete = False
        else:
            nodes[len(args)] = arg
            value = m.eval(arg)
            args.append(value)
            if sensitive:
                look_for_secrets(m, arg, value)
    if not node.keywords:
        return Arguments(tuple(args), NO_KEYWORDS, nodes, complete)
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        value = m.eval(keyword.value)
        if sensitive:
            look_for_secrets(m, keyword.value, value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
            nodes[keyword.arg] = keyword.value
            continue
        for atom in value:
            if isinstance(atom, Box) and atom.mapping:
                keywords.update({str(key): item for key, item in atom.items.items()})
                complete = complete and atom.exact and not atom.rest
            else:
                complete = False
    return Arguments(tuple(args), keywords, nodes, complete)


def look_for_secrets(m: Machine, node: ast.expr, value: Value) -> None:
    """Note that the name of a file of secrets is handed to a call."""
    for atom in value:
        inside = atom.items.values() if isinstance(atom, Box) and len(atom.items) < 50 else ((atom,),)
        for one in (one for held in inside for one in held):
            name = spelling(one) if is_text(one) else ""
            if name and is_sensitive(name):
                shown = one_line(name.replace(HOLE, "*"), 80)
                m.find(
                    node,
                    "secret/file",
                    Effect.SECRET,
                    f"names {shown}, where {what_lies_at(name)}",
                    Severity.WARNING,
                    confidence=Confidence.LIKELY,
                )
                return


def subscript(m: Machine, node: ast.Subscript) -> Value:
    # `os.environ[...]` uses one variable, not all of them.
    owner = m.peek(node.value) if isinstance(node.value, ast.Attribute) else m.eval(node.value)
    if isinstance(node.slice, ast.Slice):
        return slice_of(m, node.slice, owner)
    return item_of(m, node, owner, m.eval(node.slice))


def binary(m: Machine, node: ast.BinOp) -> Value:
    # A long sum of texts is deep on its left: walked here in a loop, not by recursion.
    spine: list[ast.BinOp] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):
        spine.append(left)
        left = left.left
    value = m.eval(left)
    for step in reversed(spine):
        value = operate(m, step, value, m.eval(step.right), step.op)
    return value


def operate(m: Machine, node: ast.AST, first: Value, second: Value, operator: ast.operator) -> Value:
    """Return `first operator second`."""
    kind = type(operator)
    if kind is ast.Mod:
        template = only_const(first)
        if template is not None and isinstance(template.value, str):
            blowups.check_format(m, node, template.value)
            return m.charge(texts.percent(template, _percent_values(m, node, second)))
    elif kind is ast.Add:
        if any(is_text(atom) for atom in (*first, *second)):
            if isinstance(node, ast.BinOp):
                first, second = sheltered(m, node.left, first), sheltered(m, node.right, second)
            return m.charge(texts.concat(first, second))
        if any(isinstance(atom, Box) for atom in first):
            box = m.made.setdefault(("sum", id(node)), Box())
            assert isinstance(box, Box)
            if boxes.is_exact(first) and boxes.is_exact(second):
                boxes.fill(m, box, boxes.each(first) + boxes.each(second))
            else:
                boxes.add(m, box, join(contents(first), contents(second)))
            return (box,)
    elif kind is ast.Mult:
        sizes.check_product(m, node, first, second)
        if any(isinstance(atom, Box) for atom in (*first, *second)):
            return tuple(atom for atom in (*first, *second) if isinstance(atom, Box))
        if any(is_text(atom) for atom in (*first, *second)) and not (only_const(first) and only_const(second)):
            return (Pattern(HOLE),)
    elif kind is ast.Pow or kind is ast.LShift:
        sizes.check_power(m, node, first, second, shift=kind is ast.LShift)
    elif kind is ast.Div and any(isinstance(a, Ref) and a.path.startswith("pathlib.") for a in first):
        return _joined_paths(m, node, first, second)
    one, two = only_const(first), only_const(second)
    if one is not None and two is not None:
        return texts.number(kind.__name__, one, two)
    if two is not None and 1 < len(first) <= 48 and all(isinstance(atom, Const) for atom in first):
        return joined([texts.number(kind.__name__, a, two) for a in first if isinstance(a, Const)])
    return operated(m, node, first, second, operator) or _of_tables(first) or _of_tables(second) or UNKNOWN


def _of_tables(value: Value) -> Value:
    """Return the tables and arrays that a value may be: what is computed of them is one of their kind."""
    for atom in value:
        if type(atom) is Ref and atom.made and (root := atom.path.partition(".")[0]) in _TABLES:
            return (Ref(f"{root}.?", True), *UNKNOWN)
    return NOTHING


def _joined_paths(m: Machine, node: ast.AST, first: Value, second: Value) -> Value:
    start = next((atom.channels for atom in first if isinstance(atom, Ref)), NOTHING)
    made = texts.concat(texts.concat(start, (Const("/"),)), second)
    if m.sensitive and isinstance(node, ast.expr):
        look_for_secrets(m, node, made)
    return (Ref("pathlib.Path", True, made),)


def _percent_values(m: Machine, node: ast.AST, value: Value) -> list[Value] | None:
    right = node.right if isinstance(node, ast.BinOp) else None
    if len(value) == 1 and isinstance(value[0], Box):
        box = value[0]
        if not box.exact or box.mapping:
            return None
        values = list(box.items.values())
        if isinstance(right, ast.Tuple) and len(right.elts) == len(values):
            return [sheltered(m, one, held) for one, held in zip(right.elts, values, strict=True)]
        return values
    return [sheltered(m, right, value)]


def boolean(m: Machine, node: ast.BoolOp) -> Value:
    return joined([m.eval(value) for value in node.values])


def unary(m: Machine, node: ast.UnaryOp) -> Value:
    operand = m.eval(node.operand)
    exact = only_const(operand)
    if exact is not None and isinstance(node.op, ast.USub) and isinstance(exact.value, int | float):
        return (Const(-exact.value),)
    return operated(m, node, operand, NOTHING, node.op) or UNKNOWN


def choice(m: Machine, node: ast.IfExp) -> Value:
    m.eval(node.test)
    return join(m.eval(node.body), m.eval(node.orelse))


def compare(m: Machine, node: ast.Compare) -> Value:
    left, given = m.peek(node.left), NOTHING
    for operator, part in zip(node.ops, node.comparators, strict=True):
        right = m.peek(part)
        given = join(given, operated(m, node, left, right, operator))
        left = right
    return given or UNKNOWN


def fstring(m: Machine, node: ast.JoinedStr) -> Value:
    parts: list[Value] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            parts.append(formatted_value(m, part))
        else:
            parts.append(m.peek(part))
    return m.charge(texts.formatted(parts)) if parts else (Const(""),)


def formatted_value(m: Machine, node: ast.FormattedValue) -> Value:
    value = m.eval(node.value)
    spec = ""
    if node.format_spec is not None:
        known = only_const(m.eval(node.format_spec))
        if known is None:
            return (Pattern(HOLE),)
        spec = str(known.value)
        blowups.check_format(m, node, spec)
    return texts.field(sheltered(m, node.value, value), spec, node.conversion)


def lambda_(m: Machine, node: ast.Lambda) -> Value:
    return (functions.function(m, node),)


def walrus(m: Machine, node: ast.NamedExpr) -> Value:
    value = m.eval(node.value)
    m.bind(node.target.id, value, node.target, node.value)
    return value


def through(m: Machine, node: ast.Await | ast.Starred | ast.YieldFrom) -> Value:
    value = m.eval(node.value)
    if isinstance(node, ast.YieldFrom):
        functions.returned(m, value)
    return value


def yielded(m: Machine, node: ast.Yield) -> Value:
    if node.value is not None:
        functions.returned(m, m.eval(node.value))
    return UNKNOWN


EXPRESSIONS: dict[type[ast.AST], Handler] = {
    ast.Constant: constant,
    ast.Name: name,
    ast.Attribute: attribute,
    ast.Call: call,
    ast.Subscript: subscript,
    ast.BinOp: binary,
    ast.BoolOp: boolean,
    ast.UnaryOp: unary,
    ast.IfExp: choice,
    ast.Compare: compare,
    ast.JoinedStr: fstring,
    ast.FormattedValue: formatted_value,
    ast.List: sequence,
    ast.Tuple: sequence,
    ast.Set: sequence,
    ast.Dict: dictionary,
    ast.ListComp: comprehension,
    ast.SetComp: comprehension,
    ast.GeneratorExp: comprehension,
    ast.DictComp: dict_comprehension,
    ast.Lambda: lambda_,
    ast.NamedExpr: walrus,
    ast.Await: through,
    ast.Starred: through,
    ast.YieldFrom: through,
    ast.Yield: yielded,
}
