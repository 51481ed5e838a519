"""What an assignment does: binds a name, fills a container, sets an attribute, or writes to a channel."""

from __future__ import annotations

import ast

from osprey_executor.analysis import boxes, functions
from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.protocols import iterated
from osprey_executor.analysis.values import (
    UNKNOWN,
    Box,
    Class,
    Const,
    Func,
    Namespace,
    Obj,
    Ref,
    Unknown,
    Value,
    contents,
    join,
    only_const,
)
from osprey_executor.models import Effect, Severity

_INSIDE = frozenset(("__code__", "__globals__", "__closure__", "__bases__", "__builtins__"))
"""Attributes by which one function or class becomes another."""
_PYTHONS_OWN = frozenset(
    ("builtins", "os", "socket", "subprocess", "importlib", "time", "io", "shutil", "builtins.open")
)
"""Modules whose functions no honest program replaces. `sys.stdout = ...` is common."""


def assign(m: Machine, target: ast.expr, value: Value, node: ast.AST, source: ast.expr | None = None) -> None:
    """Assign `value` to `target`; `source`: where the value stands in the program."""
    if isinstance(target, ast.Name):
        m.bind(target.id, value, target, source)
    elif isinstance(target, ast.Tuple | ast.List):
        _unpack(m, target.elts, value, node, source)
    elif isinstance(target, ast.Starred):
        box = m.made.setdefault(("star", id(target)), Box())
        assert isinstance(box, Box)
        boxes.add(m, box, value)
        assign(m, target.value, (box,), node, source)
    elif isinstance(target, ast.Attribute):
        set_attribute(m, target, m.peek(target.value), target.attr, value, source)
    elif isinstance(target, ast.Subscript):
        owner = m.peek(target.value) if isinstance(target.value, ast.Attribute) else m.eval(target.value)
        key = m.eval(target.slice) if not isinstance(target.slice, ast.Slice) else UNKNOWN
        set_item(m, target, owner, key, value, source)


def _unpack(m: Machine, targets: list[ast.expr], value: Value, node: ast.AST, source: ast.expr | None) -> None:
    value = iterated(m, node, value)
    rows = [atom for atom in value if isinstance(atom, Box) and not atom.mapping]
    if rows and len(rows) == len(value) and not any(isinstance(one, ast.Starred) for one in targets):
        for place, target in enumerate(targets):
            held = tuple(dict.fromkeys(one for row in rows for one in (*row.items.get(place, ()), *row.rest)))
            of = source.elts[place] if isinstance(source, ast.Tuple) and len(source.elts) == len(targets) else source
            if len(rows) > 1:
                m.columns[id(target)] = rows, place
            assign(m, target, held or UNKNOWN, node, of)
        return
    each = contents(value) or UNKNOWN
    for target in targets:
        assign(m, target, each, node, source)


def set_attribute(
    m: Machine, node: ast.AST, owner: Value, name: str, value: Value, source: ast.expr | None = None
) -> None:
    """Set an attribute of whatever `owner` is."""
    if name in _INSIDE:
        told = f"sets `{name}`, and so what another part of the program or of Python does"
        m.find(node, "interpreter/replaced-name", Effect.INTERPRETER, told, Severity.WARNING)
    for atom in owner:
        if isinstance(atom, Ref):
            path = f"{atom.path}.{name}"
            rule = m.catalogue.rule(m.catalogue.aliases.get(path, path), "=")
            if rule:
                given = Arguments((value, (Const(name),)), {}, {} if source is None else {0: source})
                m.apply(node, rule, atom, given)
            elif not atom.made and m.catalogue.is_control(path):
                _replaced(m, node, path)
                m.replaced[path] = join(m.replaced.get(path, (Ref(path),)), value)
            elif not atom.made and atom.path in _PYTHONS_OWN:
                told = f"replaces {path} while the program runs"
                m.find(node, "interpreter/replaced-name", Effect.INTERPRETER, told, Severity.WARNING)
        elif isinstance(atom, Obj):
            if not _described(m, node, atom, name, value):
                functions.set_attribute(m, atom.kind, name, value)
            for base in atom.kind.bases:
                if isinstance(base, Ref):
                    set_attribute(m, node, (Ref(base.path, True, atom.kind.channels),), name, value, source)
            _setter(m, node, atom.kind, name, value)
        elif isinstance(atom, Class):
            functions.set_attribute(m, atom, name, value)
            if method := functions.special(m, node, atom, "__setattr__"):
                m.call(node, method, Arguments(((Const(name),), value)))
        elif isinstance(atom, Func):
            box = m.made.setdefault(("attributes", id(atom.node)), Box(mapping=True))
            assert isinstance(box, Box)
            boxes.put(m, box, name, value)
        elif isinstance(atom, Unknown) and name in ("setpoint", "put", "VAL") and m.imported:
            m.find(
                node,
                "opaque/unresolved-write",
                Effect.OPAQUE,
                f"sets `.{name}` of an object that nobody can name, in a program that uses "
                f"{', '.join(sorted(m.imported)[:3])}",
                Severity.WARNING,
                ask=True,
            )


def _described(m: Machine, node: ast.AST, owner: Obj, name: str, value: Value) -> bool:
    """Give a value to the property or other descriptor that a class has under a name; return whether it has one."""
    described = False
    for kind in functions.classes(owner.kind):
        for held in kind.attributes.get(name, ()):
            if isinstance(held, Obj) and "fset" in held.kind.attributes:
                m.call(node, held.kind.attributes["fset"], Arguments(((owner,), value)))
                described = True
            elif isinstance(held, Obj) and (method := functions.special(m, node, held, "__set__")):
                m.call(node, method, Arguments(((owner,), value)))
                described = True
    return described


def _replaced(m: Machine, node: ast.AST, path: str) -> None:
    m.find(
        node,
        "opaque/replaced-function",
        Effect.OPAQUE,
        f"replaces {path} while the program runs",
        Severity.WARNING,
        ask=True,
    )


def _setter(m: Machine, node: ast.AST, kind: Class, name: str, value: Value) -> None:
    for special in (f"{name}.setter", "__setattr__"):
        for atom in kind.attributes.get(special, ()):
            if isinstance(atom, Func):
                args = (value,) if special != "__setattr__" else ((Const(name),), value)
                functions.invoke(m, atom, Arguments(args), Obj(kind))


def set_item(m: Machine, node: ast.AST, owner: Value, key: Value, value: Value, source: ast.expr | None = None) -> None:
    """Set an item of whatever `owner` is."""
    for atom in owner:
        if isinstance(atom, Box):
            if atom.mapping:
                boxes.store(m, atom, key, value)
            else:
                exact = only_const(key)
                if exact is not None and isinstance(exact.value, int) and exact.value in atom.items:
                    boxes.put(m, atom, exact.value, value)
                else:
                    boxes.add(m, atom, value)
        elif isinstance(atom, Namespace):
            _set_in_namespace(m, node, atom, key, value)
        elif isinstance(atom, Ref):
            if atom.path == "os.environ":
                continue
            rule = m.catalogue.rule(f"{atom.path}.[]", "=")
            if rule:
                m.apply(node, rule, atom, Arguments((value, key), {}, {} if source is None else {0: source}))
        elif isinstance(atom, Obj):
            method = functions.attribute(m, node, atom, "__setitem__", methods_only=True)
            if method:
                m.call(node, method, Arguments((key, value)))


def _set_in_namespace(m: Machine, node: ast.AST, space: Namespace, key: Value, value: Value) -> None:
    exact = only_const(key)
    if space.path in ("", "builtins"):
        told = (
            "replaces a function of Python itself while the program runs"
            if space.path
            else "puts a module of its own among those that are imported already"
        )
        m.find(node, "interpreter/replaced-name", Effect.INTERPRETER, told, Severity.WARNING)
    if space.path == "__main__" and exact is not None and isinstance(exact.value, str):
        m.module.bind(exact.value, value, lambda func: setattr(func, "stale", True))
    elif space.path and m.catalogue.is_control(space.path):
        _replaced(m, node, f"{space.path}[...]")
