"""Names that are computed: getattr and its family, imports by name, partials, namespaces, classes made by calls."""

from __future__ import annotations

import ast

from osprey_executor.analysis import functions
from osprey_executor.analysis.expressions import operate
from osprey_executor.analysis.imports import bring, run_written
from osprey_executor.analysis.lookups import attribute_of, computed_name
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.protocols import OPERATORS, operated
from osprey_executor.analysis.targets import set_attribute
from osprey_executor.analysis.values import (
    HOLE,
    NOTHING,
    UNKNOWN,
    Box,
    Class,
    Const,
    Namespace,
    Obj,
    Partial,
    Ref,
    Value,
    exact_texts,
    is_text,
    joined,
    spelling,
)
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line

_MOST_PARTIALS = 4


def _getattr(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    owner, key = given.args[0], given.args[1]
    names = exact_texts(key)
    found = [attribute_of(m, node, owner, name) for name in names]
    if len(names) < len(key) or not names:
        for atom in owner:
            if isinstance(atom, Ref):
                found.append(computed_name(m, node, atom))
            elif isinstance(atom, Obj | Class):
                kind = atom.kind if isinstance(atom, Obj) else atom
                found.extend(
                    functions.attribute(m, node, atom, name)
                    for name, value in list(kind.attributes.items())[:100]
                    if not name.startswith("__") and value
                )
                found.extend(computed_name(m, node, base) for base in kind.bases if isinstance(base, Ref))
    if len(given.args) > 2:
        found.append(given.args[2])
    return joined(found) if found else UNKNOWN


def _setattr(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 3:
        return UNKNOWN
    owner, key, value = given.args[:3]
    names = exact_texts(key)
    for name in names:
        set_attribute(m, node, owner, name, value, given.nodes.get(2))
    if len(names) < len(key) or not names:
        for atom in owner:
            if isinstance(atom, Ref) and m.catalogue.is_control(atom.path):
                set_attribute(m, node, (atom,), "?", value, given.nodes.get(2))
                computed_name(m, node, atom)
    return UNKNOWN


def _import(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    key = given.get(0, "name") or UNKNOWN
    found: list[Value] = []
    for atom in key:
        if isinstance(atom, Const) and isinstance(atom.value, str):
            path = bring(m, node, atom.value)
            if given.get(3, "fromlist") is None and getattr(getattr(node, "func", None), "id", "") == "__import__":
                path = path.partition(".")[0]
            found.append((Ref(path),))
        else:
            found.append(computed_name(m, node, Ref("")))
    return joined(found)


def _located(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    names = exact_texts(given.get(0, "name", "path") or NOTHING)
    if not names:
        return computed_name(m, node, Ref(""))
    found: list[Value] = []
    for name in names:
        path = name.replace(":", ".").strip(".")
        bring(m, node, path.partition(".")[0])
        found.append((Ref(m.catalogue.aliases.get(path, path)),))
    return joined(found)


def _partial(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return UNKNOWN
    depth = 1 + max((atom.depth for one in given.everything() for atom in one if isinstance(atom, Partial)), default=0)
    if depth > _MOST_PARTIALS:
        return given.args[0]  # what is called stays, what it is called with does not
    return (Partial(given.args[0], given.args[1:], tuple(given.keywords.items()), depth),)


def _method_caller(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    args = tuple(given.args[1:])
    return (Partial((Ref("?.methodcaller"),), ((*(given.args[0] if given.args else UNKNOWN),), *args), ()),)


def _called_method(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    callee = _getattr(m, node, Arguments((given.args[-1], given.args[0]))) or UNKNOWN
    return m.call(node, callee, Arguments(given.args[1:-1]))


def _attr_getter(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Partial((Ref("?.attrgetter"),), given.args[:1], ()),)


def _got_attribute(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) < 2:
        return UNKNOWN
    key, owner = given.args[0], given.args[1]
    names = exact_texts(key)
    if not names:
        return _getattr(m, node, Arguments((owner, key)))
    found: list[Value] = []
    for name in names:
        value = owner
        for part in name.split(".")[:10]:
            value = attribute_of(m, node, value, part)
        found.append(value)
    return joined(found)


def _globals(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Namespace("__main__"),)


def _vars(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if not given.args:
        return (Namespace("__main__"),)
    spaces = tuple(Namespace(atom.path) for atom in given.args[0] if isinstance(atom, Ref))
    return spaces or UNKNOWN


def _super(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    func = m.func
    if func is None:
        return UNKNOWN
    spec = [*func.node.args.posonlyargs, *func.node.args.args]
    held = func.params.get(spec[0].arg, NOTHING) if spec else NOTHING
    kinds = [atom.kind if isinstance(atom, Obj) else atom for atom in held if isinstance(atom, Obj | Class)]
    return joined([functions.parent(m, kind) for kind in kinds]) if kinds else UNKNOWN


def _type(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    if len(given.args) != 3:
        kinds = [
            atom.kind if isinstance(atom, Obj) else Ref(atom.path)
            for atom in (given.args[0] if given.args else NOTHING)
            if isinstance(atom, Obj) or (isinstance(atom, Ref) and atom.made)
        ]
        return tuple(kinds) or UNKNOWN
    bases = tuple(
        base
        for atom in given.args[1]
        if isinstance(atom, Box)
        for value in (*atom.items.values(), atom.rest)
        for base in value
    )
    made = m.made.setdefault(("type", id(node)), Class("made", bases))
    assert isinstance(made, Class)
    for atom in given.args[2]:
        if isinstance(atom, Box):
            for name, value in atom.items.items():
                functions.set_attribute(m, made, str(name), value)
                functions.bind_lambdas(value, m.scope)
    return (made,)


def _decorator(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return (Ref("?.same"),)


def _first(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return given.args[0] if given.args else UNKNOWN


def _spec_of_file(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for atom in given.get(1, "location") or UNKNOWN:
        name = str(atom.value) if isinstance(atom, Const) else ""
        if written := m.files.get(name):
            run_written(m, node, written, name)
        else:
            told = f"makes a module of {name or 'a file'}: its code runs once it is loaded, and is not seen here"
            m.find(node, "opaque/written-code", Effect.OPAQUE, told, Severity.WARNING, ask=True)
    return (Ref("importlib.spec", True, tuple(atom for atom in given.get(1, "location") or () if is_text(atom))),)


def _runs_module(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    """`spec.loader.exec_module(module)`; where the program wrote the file itself, it was analysed with the spec."""
    names = [spelling(atom).replace(HOLE, "*") for atom in given.made_with]
    if not any(m.files.get(name) for name in names):
        told = f"runs the code of {one_line(names[0], 80) if names else 'a file'} as a module, which is not seen here"
        m.find(node, "opaque/written-code", Effect.OPAQUE, told, Severity.WARNING, ask=True)
    return UNKNOWN


def _operator(operator: ast.AST) -> Model:
    """`operator.mul(a, b)`: what the operator does."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        first, second = (*given.args, NOTHING, NOTHING)[:2]
        if isinstance(operator, ast.operator):
            return operate(m, node, first, second, operator)
        return operated(m, node, first, second, operator) or UNKNOWN

    return model


MODELS: dict[str, Model] = {
    **{
        f"operator.{name}": _operator(kind())
        for kind, name in OPERATORS.items()
        if name not in ("contains", "and", "or")
    },
    "importlib.util.find_spec": _import,
    "importlib.util.module_from_spec": lambda m, node, given: UNKNOWN,
    **dict.fromkeys((f"importlib.spec.loader.{name}" for name in ("exec_module", "load_module")), _runs_module),
    "importlib.util.spec_from_file_location": _spec_of_file,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "builtins.object.__setattr__": _setattr,
    "builtins.object.__getattribute__": _getattr,
    "builtins.type.__getattribute__": _getattr,
    "inspect.getattr_static": _getattr,
    "builtins.__import__": _import,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "importlib.reload": _first,
    "pkgutil.resolve_name": _located,
    "pydoc.locate": _located,
    "builtins.globals": _globals,
    "builtins.locals": _globals,
    "builtins.vars": _vars,
    "builtins.super": _super,
    "builtins.type": _type,
    "types.new_class": _type,
    "functools.partial": _partial,
    "functools.partialmethod": _partial,
    "operator.methodcaller": _method_caller,
    "?.methodcaller": _called_method,
    "operator.attrgetter": _attr_getter,
    "?.attrgetter": _got_attribute,
    "functools.wraps": _decorator,
    "?.same": _first,
    **dict.fromkeys(
        (
            "functools.lru_cache",
            "functools.cache",
            "builtins.staticmethod",
            "numba.njit",
            "numba.jit",
            "contextlib.contextmanager",
            "contextlib.asynccontextmanager",
            "functools.singledispatch",
            "numpy.vectorize",
            "abc.abstractmethod",
            "functools.cached_property",
            "dataclasses.dataclass",
        ),
        _first,
    ),
}
