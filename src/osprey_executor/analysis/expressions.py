"""What each kind of expression gives."""

from __future__ import annotations

import ast
import builtins
from typing import Any

from osprey_executor.analysis import functions, texts
from osprey_executor.analysis.machine import Arguments, Handler, Machine
from osprey_executor.analysis.targets import assign
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Atom,
    Bound,
    Box,
    Class,
    Const,
    Func,
    Method,
    Namespace,
    Obj,
    Partial,
    Pattern,
    Ref,
    Unknown,
    Value,
    contents,
    held,
    is_text,
    join,
    joined,
    only_const,
)
from osprey_executor.models import Effect, Severity

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__"}
_MOST_ELEMENTS = 2000
_LONG_PATH = 7
_DATA = (ast.Constant, ast.UnaryOp)
_LOOKED_AT = frozenset(("__doc__", "__name__", "__module__", "__qualname__", "__version__", "__file__"))


def constant(m: Machine, node: ast.Constant) -> Value:
    return (Const(node.value),)


def name(m: Machine, node: ast.Name) -> Value:
    found = m.lookup(node.id)
    if found is not None:
        return found
    if node.id in _BUILTINS:
        return (Ref("builtins" if node.id == "__builtins__" else f"builtins.{node.id}"),)
    for star in m.stars:
        path = f"{star}.{node.id}"
        path = m.catalogue.aliases.get(path, path)
        if m.catalogue.rule(path) or path in m.catalogue.classes or path in m.semantics.models:
            return (Ref(path),)
    bare = m.catalogue.bare.get(node.id)
    return (Ref(bare),) if bare else UNKNOWN


def attribute(m: Machine, node: ast.Attribute) -> Value:
    return attribute_of(m, node, m.peek(node.value), node.attr)


def attribute_of(m: Machine, node: ast.AST, owner: Value, attr: str) -> Value:
    """Return the attribute `attr` of whatever `owner` is."""
    if len(owner) == 1:
        return _attribute(m, node, owner[0], attr)
    return joined([_attribute(m, node, atom, attr) for atom in owner]) if owner else UNKNOWN


def _attribute(m: Machine, node: ast.AST, atom: Atom, attr: str) -> Value:
    match atom:
        case Ref():
            return _of_library(m, atom, attr)
        case Obj() | Class():
            if attr in ("__class__", "__dict__"):
                return (atom.kind,) if attr == "__class__" and isinstance(atom, Obj) else UNKNOWN
            return functions.attribute(m, node, atom, attr)
        case Const() | Pattern() | Box() | Namespace():
            return (Method(atom, attr),)
        case Func():
            if attr == "__globals__":
                return (Namespace("__main__"),)
            known = m.made.get(("attributes", id(atom.node)))
            return known.items.get(attr, UNKNOWN) if isinstance(known, Box) else UNKNOWN
        case Partial():
            return atom.callee if attr == "func" else UNKNOWN
        case Bound():
            return (atom.func,) if attr == "__func__" else (atom.owner,) if attr == "__self__" else UNKNOWN
        case _:
            return UNKNOWN


def _of_library(m: Machine, ref: Ref, attr: str) -> Value:
    if attr == "__dict__":
        return (Namespace(ref.path),)
    if attr in ("__call__", "__func__", "__wrapped__"):
        return (ref,)
    if attr == "__self__" and "." in ref.path:
        return (Ref(ref.path.rpartition(".")[0], bool(ref.channels), ref.channels),)
    if attr in _LOOKED_AT:
        return UNKNOWN
    path = f"{ref.path}.{attr}"
    path = m.catalogue.aliases.get(path, path)
    if path.count(".") > _LONG_PATH:
        path = f"{path.partition('.')[0]}.?.{attr}"
    if path == "sys.modules":
        return (Namespace(""),)
    return (Ref(path, False, ref.channels),)


def call(m: Machine, node: ast.Call) -> Value:
    func = node.func
    if isinstance(func, ast.Attribute):
        owner = m.peek(func.value)
        callee = attribute_of(m, func, owner, func.attr)
        given = arguments(m, node)
        if func.attr in m.catalogue.hints and m.imported and all(isinstance(atom, Unknown) for atom in owner):
            m.find(
                node,
                "opaque/unresolved-write",
                Effect.OPAQUE,
                f"the program uses {', '.join(sorted(m.imported)[:3])}, and nobody can tell what object "
                f"`.{func.attr}(...)` is called on",
                Severity.WARNING,
                ask=True,
            )
            m.write(None, None, m.where(node)[0])
    else:
        callee = m.peek(func)
        given = arguments(m, node)
    return m.call(node, callee, given)


def arguments(m: Machine, node: ast.Call) -> Arguments:
    """Return the arguments of a call, evaluated."""
    args: list[Value] = []
    nodes: dict[int | str, ast.expr] = {}
    complete = True
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            many = m.eval(arg.value)
            if functions.is_exact(many) and complete:
                args.extend(functions.each(many))
            else:
                args.append(contents(many) or UNKNOWN)
                complete = False
        else:
            nodes[len(args)] = arg
            args.append(m.eval(arg))
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        value = m.eval(keyword.value)
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


def subscript(m: Machine, node: ast.Subscript) -> Value:
    owner = m.eval(node.value)
    if isinstance(node.slice, ast.Slice):
        return _slice(m, node.slice, owner)
    return item_of(m, node, owner, m.eval(node.slice))


def _slice(m: Machine, node: ast.Slice, owner: Value) -> Value:
    bounds: list[Any] = []
    for part in (node.lower, node.upper, node.step):
        exact = only_const(m.eval(part)) if part is not None else Const(None)
        if exact is None or not isinstance(exact.value, int | None):
            bounds.append("?")
        else:
            bounds.append(exact.value)
    text = only_const(owner)
    if "?" not in bounds and text is not None:
        return texts.sliced(text, slice(*bounds))
    if any(isinstance(atom, Box) for atom in owner):
        box = m.made.setdefault(("slice", id(node)), Box())
        assert isinstance(box, Box)
        whole = functions.each(owner) if functions.is_exact(owner) and "?" not in bounds else None
        if whole is not None and not isinstance(owner[0], Const):
            functions.fill(m, box, whole[slice(*bounds)])
        else:
            functions.add(m, box, contents(owner))
        return (box,)
    return (Pattern(HOLE),) if any(is_text(atom) for atom in owner) else owner


def item_of(m: Machine, node: ast.AST, owner: Value, key: Value) -> Value:
    """Return `owner[key]`."""
    exact = only_const(key)
    found: list[Value] = []
    for atom in owner:
        if isinstance(atom, Box):
            found.append(_item(atom, exact))
        elif isinstance(atom, Const):
            found.append(texts.sliced(atom, exact.value) if exact else UNKNOWN)
        elif isinstance(atom, Namespace):
            found.append(from_namespace(m, node, atom, key))
        elif isinstance(atom, Ref) and atom.path == "builtins":
            found.append(from_namespace(m, node, Namespace("builtins"), key))
        elif isinstance(atom, Ref) and atom.made:
            texts_of = tuple(one for one in key if is_text(one)) or atom.channels
            found.append((Ref(atom.path, True, texts_of),))
        elif isinstance(atom, Obj) and "__getitem__" in atom.kind.attributes:
            method = functions.attribute(m, node, atom, "__getitem__")
            found.append(m.call(node, method, Arguments((key,))))
        else:
            found.append((atom,) if isinstance(atom, Ref | Func | Obj) else UNKNOWN)
    return joined(found) if found else UNKNOWN


def _item(box: Box, exact: Const | None) -> Value:
    if exact is not None:
        key = exact.value
        if isinstance(key, int) and key < 0 and not box.mapping and box.exact:
            key += len(box.items)
        try:
            if key in box.items:
                return join(box.items[key], box.rest)
        except TypeError:
            return UNKNOWN
        if box.exact and not box.rest:
            return UNKNOWN
        return box.rest or UNKNOWN
    return joined([*box.items.values(), box.rest]) or UNKNOWN


def from_namespace(m: Machine, node: ast.AST, space: Namespace, key: Value) -> Value:
    """Return what a module's dictionary, `sys.modules` or `globals()` holds under a name."""
    exact = only_const(key)
    if exact is not None and isinstance(exact.value, str):
        if space.path == "__main__":
            return m.module.ever.get(exact.value, UNKNOWN)
        if not space.path:
            return (Ref(m.catalogue.aliases.get(exact.value, exact.value)),)
        return _of_library(m, Ref(space.path), exact.value)
    names = [atom.value for atom in key if isinstance(atom, Const) and isinstance(atom.value, str)]
    if names and len(names) == len(key) and space.path not in ("", "__main__"):
        return joined([_of_library(m, Ref(space.path), one) for one in names])
    return computed_name(m, node, Ref(space.path)) if space.path != "__main__" else UNKNOWN


def computed_name(m: Machine, node: ast.AST, owner: Ref) -> Value:
    """Note that a name is looked up by a text that is only known when the program runs."""
    path = owner.path
    sensitive = path in ("", "builtins", "os", "sys", "importlib", "subprocess", "ctypes")
    if sensitive or m.catalogue.is_control(path):
        what = path or "the imported modules"
        m.find(
            node,
            "opaque/computed-name",
            Effect.OPAQUE,
            f"takes a name of {what} that is only known when the program runs",
            Severity.WARNING,
            ask=True,
        )
        if m.catalogue.is_control(path):
            m.write(None, None, m.where(node)[0])
            return (Ref(f"{path.partition('.')[0]}.?", True),)
    return UNKNOWN


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
    if isinstance(operator, ast.Mod):
        template = only_const(first)
        if template is not None and isinstance(template.value, str):
            return texts.percent(template, _percent_values(second))
    if isinstance(operator, ast.Add):
        if any(is_text(atom) for atom in (*first, *second)):
            return texts.concat(first, second)
        if any(isinstance(atom, Box) for atom in first):
            box = m.made.setdefault(("sum", id(node)), Box())
            assert isinstance(box, Box)
            if functions.is_exact(first) and functions.is_exact(second):
                functions.fill(m, box, functions.each(first) + functions.each(second))
            else:
                functions.add(m, box, join(contents(first), contents(second)))
            return (box,)
    if isinstance(operator, ast.Mult) and any(isinstance(atom, Box) for atom in (*first, *second)):
        return tuple(atom for atom in (*first, *second) if isinstance(atom, Box))
    if isinstance(operator, ast.Div) and any(isinstance(a, Ref) and a.path.startswith("pathlib.") for a in first):
        return _joined_paths(first, second)
    one, two = only_const(first), only_const(second)
    if one is not None and two is not None:
        return texts.number(type(operator).__name__, one, two)
    if two is not None and 1 < len(first) <= 48 and all(isinstance(atom, Const) for atom in first):
        return joined([texts.number(type(operator).__name__, a, two) for a in first if isinstance(a, Const)])
    for operand, other in ((first, second), (second, first)):
        for atom in operand:
            if isinstance(atom, Obj):
                for special, value in atom.kind.attributes.items():
                    if (
                        special.startswith("__")
                        and any(isinstance(one, Func) for one in value)
                        and special
                        not in (
                            "__init__",
                            "__repr__",
                            "__str__",
                        )
                    ):
                        m.call(node, functions.attribute(m, node, atom, special), Arguments((other,)))
    return UNKNOWN


def _joined_paths(first: Value, second: Value) -> Value:
    start = next((atom.channels for atom in first if isinstance(atom, Ref)), NOTHING)
    return (Ref("pathlib.Path", True, texts.concat(texts.concat(start, (Const("/"),)), second)),)


def _percent_values(value: Value) -> list[Value] | None:
    if len(value) == 1 and isinstance(value[0], Box):
        box = value[0]
        return list(box.items.values()) if box.exact and not box.mapping else None
    return [value]


def boolean(m: Machine, node: ast.BoolOp) -> Value:
    return joined([m.eval(value) for value in node.values])


def unary(m: Machine, node: ast.UnaryOp) -> Value:
    exact = only_const(m.eval(node.operand))
    if exact is not None and isinstance(node.op, ast.USub) and isinstance(exact.value, int | float):
        return (Const(-exact.value),)
    return UNKNOWN


def choice(m: Machine, node: ast.IfExp) -> Value:
    m.eval(node.test)
    return join(m.eval(node.body), m.eval(node.orelse))


def compare(m: Machine, node: ast.Compare) -> Value:
    m.peek(node.left)
    for part in node.comparators:
        m.peek(part)
    return UNKNOWN


def fstring(m: Machine, node: ast.JoinedStr) -> Value:
    parts: list[Value] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            parts.append(formatted_value(m, part))
        else:
            parts.append(m.peek(part))
    return texts.formatted(parts) if parts else (Const(""),)


def formatted_value(m: Machine, node: ast.FormattedValue) -> Value:
    value = m.eval(node.value)
    spec = ""
    if node.format_spec is not None:
        known = only_const(m.eval(node.format_spec))
        if known is None:
            return (Pattern(HOLE),)
        spec = str(known.value)
    return texts.field(value, spec, node.conversion)


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
            many = m.eval(item.value)
            if functions.is_exact(many):
                values.extend(functions.each(many))
            else:
                functions.add(m, box, contents(many))
        else:
            values.append(m.eval(item))
    functions.fill(m, box, values)
    return (box,)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def dictionary(m: Machine, node: ast.Dict) -> Value:
    box = m.made.setdefault(id(node), Box(mapping=True))
    assert isinstance(box, Box)
    for key, value in zip(node.keys, node.values, strict=True):
        held_there = m.eval(value)
        if key is None:
            merge(m, box, held_there)
            continue
        store(m, box, m.eval(key), held_there)
    return (box,)


def merge(m: Machine, box: Box, value: Value) -> None:
    """Let a dictionary also hold what another holds."""
    for atom in value:
        if isinstance(atom, Box) and atom.mapping:
            for key, inner in list(atom.items.items()):
                functions.put(m, box, key, inner)
            if atom.rest:
                functions.add(m, box, atom.rest)
        else:
            functions.add(m, box, held((atom,)) or UNKNOWN)


def store(m: Machine, box: Box, key: Value, value: Value) -> None:
    """Let `box[key]` also hold `value`."""
    if key and all(isinstance(atom, Const) for atom in key) and len(key) <= 256:
        for atom in key:
            if isinstance(atom, Const):
                functions.put(m, box, atom.value, value)
        return
    functions.add(m, box, value)
    keys = m.made.setdefault(("keys", id(box)), Box())
    assert isinstance(keys, Box)
    functions.add(m, keys, key or UNKNOWN)


def comprehension(m: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
    box = m.made.setdefault(id(node), Box())
    assert isinstance(box, Box)
    m.scope.begin()
    generators = node.generators
    if len(generators) == 1 and not generators[0].ifs:
        items = m.eval(generators[0].iter)
        if functions.is_exact(items) and len(functions.each(items)) <= 128:
            for place, item in enumerate(functions.each(items)):
                assign(m, generators[0].target, item, node)
                functions.put(m, box, place, m.eval(node.elt))
        else:
            assign(m, generators[0].target, contents(items) or UNKNOWN, node)
            functions.add(m, box, m.eval(node.elt))
    else:
        _generators(m, generators, node)
        functions.add(m, box, m.eval(node.elt))
    m.scope.roll_back(m.scope.end())
    return (box,)


def _generators(m: Machine, generators: list[ast.comprehension], node: ast.AST) -> None:
    for generator in generators:
        assign(m, generator.target, contents(m.eval(generator.iter)) or UNKNOWN, node)
        for test in generator.ifs:
            m.eval(test)


def dict_comprehension(m: Machine, node: ast.DictComp) -> Value:
    box = m.made.setdefault(id(node), Box(mapping=True))
    assert isinstance(box, Box)
    m.scope.begin()
    generators = node.generators
    items = m.eval(generators[0].iter) if len(generators) == 1 and not generators[0].ifs else UNKNOWN
    if functions.is_exact(items) and len(functions.each(items)) <= 128:
        for item in functions.each(items):
            assign(m, generators[0].target, item, node)
            store(m, box, m.eval(node.key), m.eval(node.value))
    else:
        _generators(m, generators, node)
        store(m, box, m.eval(node.key), m.eval(node.value))
        box.exact = False
    m.scope.roll_back(m.scope.end())
    return (box,)


def lambda_(m: Machine, node: ast.Lambda) -> Value:
    return (functions.function(m, node),)


def walrus(m: Machine, node: ast.NamedExpr) -> Value:
    value = m.eval(node.value)
    m.bind(node.target.id, value)
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
