"""What objects of the program do when Python asks them: to iterate, to give an attribute, to be made."""

from __future__ import annotations

import ast

from osprey_executor.analysis import boxes, functions
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Atom,
    Box,
    Class,
    Const,
    Func,
    Obj,
    Partial,
    Ref,
    Value,
    contents,
    joined,
)

_ITERATING = ("__iter__", "__next__", "__reversed__", "__aiter__", "__anext__")
_OWN = frozenset(("__match_args__", "__slots__", "__doc__", "__module__", "__annotations__"))
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.USub: "neg",
    ast.UAdd: "pos",
    ast.Invert: "invert",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.In: "contains",
    ast.NotIn: "contains",
}


def answered(m: Machine, node: ast.AST, value: Value, names: tuple[str, ...], *args: Value) -> Value:
    """Return what methods of the program's objects in `value` give, of those names that they have."""
    found: list[Value] = []
    for atom in value:
        if not isinstance(atom, Obj | Class):
            continue
        methods = [functions.special(m, node, atom, name) for name in names]
        found.extend(m.call(node, method, Arguments(args)) for method in methods if method)
    return joined(found) if found else NOTHING


def _has_own(value: Value) -> bool:
    """Return whether there are objects or classes of the program in a value."""
    for atom in value:  # a generator takes twice the time, and this is asked of each operation
        kind = type(atom)
        if kind is Obj or kind is Class:
            return True
    return False


def operated(m: Machine, node: ast.AST, first: Value, second: Value, operator: ast.AST) -> Value:
    """Return what an operator gives that classes of the program define."""
    if not (_has_own(first) or _has_own(second)) or not (name := OPERATORS.get(type(operator), "")):
        return NOTHING
    if name == "contains":
        return answered(m, node, second, ("__contains__",), first)
    given = () if isinstance(operator, ast.unaryop) else (second,)
    return joined(
        [
            answered(m, node, first, (f"__{name}__", f"__i{name}__"), *given),
            answered(m, node, second, (f"__r{name}__",), first),
        ]
    )


def iterated(m: Machine, node: ast.AST, value: Value) -> Value:
    """Return `value` with what iterating over the program's own objects gives, as containers, in their place."""
    if not _has_own(value):
        return value
    found: list[Atom] = []
    for atom in value:
        box = _gives(m, node, atom) if isinstance(atom, Obj | Class) else None
        found.append(atom if box is None else box)
    return tuple(found)


def _gives(m: Machine, node: ast.AST, atom: Obj | Class) -> Box | None:
    kind = atom.kind if isinstance(atom, Obj) else atom
    box = m.made.setdefault(("iterated", id(kind)), Box())
    assert isinstance(box, Box)
    if isinstance(atom, Obj) and _is_tuple(kind):
        boxes.fill(m, box, [kind.attributes[name] for name in fields(kind)])
        return box
    given = answered(m, node, (atom,), _ITERATING) or answered(m, node, (atom,), ("__getitem__",), UNKNOWN)
    others = tuple(one for one in given if one != atom)
    if not others:
        return None
    boxes.add(m, box, joined([others, contents(others)]))
    return box


def _is_tuple(kind: Class) -> bool:
    return any(isinstance(base, Ref) and base.path.endswith(".NamedTuple") for base in kind.bases)


def fields(kind: Class) -> list[str]:
    """Return the names of the fields of a class, as a dataclass or a pattern takes them by place."""
    told = kind.attributes.get("__match_args__", NOTHING)
    names = [
        one.value
        for atom in told
        if isinstance(atom, Box)
        for value in atom.items.values()
        for one in value
        if isinstance(one, Const)
    ]
    if names:
        return [str(name) for name in names if str(name) in kind.attributes]
    return [
        name
        for name, held in kind.attributes.items()
        if name not in _OWN and not name.startswith("__") and not any(isinstance(atom, Func) for atom in held)
    ]


def _as_tuple(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = m.made.setdefault(("astuple", id(node)), Box())
    assert isinstance(box, Box)
    for atom in given.get(0) or NOTHING:
        if isinstance(atom, Obj):
            boxes.fill(m, box, [atom.kind.attributes[name] for name in fields(atom.kind)])
    return (box,) if box.items else UNKNOWN


def _as_dict(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    box = m.made.setdefault(("asdict", id(node)), Box(mapping=True))
    assert isinstance(box, Box)
    for atom in given.get(0) or NOTHING:
        if isinstance(atom, Obj):
            for name in fields(atom.kind):
                boxes.put(m, box, name, atom.kind.attributes[name])
    return (box,) if box.items else UNKNOWN


def _field(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    factory = given.get("default_factory", "factory")
    return m.call(node, factory, Arguments()) if factory else given.get("default") or UNKNOWN


def _members(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`inspect.getmembers(x)`: pairs of names and what is under them."""
    box = m.made.setdefault(("members", id(node)), Box())
    pair = m.made.setdefault(("member", id(node)), Box())
    assert isinstance(box, Box)
    assert isinstance(pair, Box)
    held: list[Value] = [UNKNOWN]
    for atom in given.get(0, "object") or NOTHING:
        if isinstance(atom, Ref):
            held.append((Ref(f"{atom.path}.?", False, atom.channels),))
        elif isinstance(atom, Obj | Class):
            held.extend((atom.kind if isinstance(atom, Obj) else atom).attributes.values())
    boxes.fill(m, pair, [UNKNOWN, joined(held)])
    boxes.add(m, box, (pair,))
    return (box,)


def _bound_method(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`types.MethodType(function, object)`."""
    return (Partial(given.args[0], given.args[1:2], ()),) if len(given.args) > 1 else UNKNOWN


def _property(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`x = property(get, set)` in a class."""
    made = m.made.setdefault(("property", id(node)), Class("property", ()))
    assert isinstance(made, Class)
    for place, name in enumerate(("fget", "fset", "fdel")):
        if held := given.get(place, name):
            functions.set_attribute(m, made, name, held)
    return (Obj(made),)


def _made_object(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`object.__new__(cls)`."""
    return tuple(Obj(atom) for atom in given.get(0, "cls") or NOTHING if isinstance(atom, Class)) or UNKNOWN


MODELS: dict[str, Model] = {
    "dataclasses.astuple": _as_tuple,
    "dataclasses.asdict": _as_dict,
    "attr.astuple": _as_tuple,
    "attr.asdict": _as_dict,
    "attrs.asdict": _as_dict,
    "attrs.astuple": _as_tuple,
    "dataclasses.field": _field,
    "attr.ib": _field,
    "attrs.field": _field,
    "dataclasses.replace": lambda m, node, given: given.get(0),
    "inspect.getmembers": _members,
    "types.MethodType": _bound_method,
    "builtins.property": _property,
    "builtins.object.__new__": _made_object,
}
