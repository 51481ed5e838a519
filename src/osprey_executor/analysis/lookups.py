"""Attributes and items: what a name behind a dot or in brackets is."""

from __future__ import annotations

import ast
import difflib
import re
import string

from osprey_executor.analysis import functions, texts
from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.values import (
    HOLE,
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
    Value,
    held,
    is_text,
    join,
    joined,
    only_const,
)
from osprey_executor.models import Effect, Severity
from osprey_executor.text import one_line

_LONG_PATH = 7
_MOST_NAMES = 500
_COMMANDS = ("plumbum.local", "plumbum.cmd.", "plumbum.Command")
"""What makes commands of the shell of its items."""
_SECRET_WORDS = re.compile(r"(?i)key|token|secret|passw|credential|auth|cookie|session")


_FRAME_NAMES = frozenset(("f_globals", "f_locals", "__globals__"))
"""Attributes of frames and functions that hold the names of a program."""
_INSIDE = frozenset(
    (
        *("__subclasses__", "__globals__", "__builtins__", "__code__", "__closure__", "__bases__", "__base__"),
        *("f_globals", "f_locals", "f_builtins", "f_back", "f_code", "tb_frame", "gi_frame", "cr_frame", "ag_frame"),
    )
)
KNOWN = {
    **{
        f"string.{name}": Const(text) for name, text in vars(string).items() if isinstance(text, str) and name[0] != "_"
    },
    "sys.maxsize": Const(2**63 - 1),
    "math.inf": Const(float("inf")),
    "numpy.inf": Const(float("inf")),
}
"""Constants of libraries."""
_WITH_METHODS = (Box, Const, Pattern, Namespace)
_LOOKED_AT = frozenset(("__doc__", "__name__", "__module__", "__qualname__", "__version__", "__file__"))


def attribute_of(m: Machine, node: ast.AST, owner: Value, attr: str) -> Value:
    """Return the attribute `attr` of whatever `owner` is."""
    if attr in _INSIDE:
        told = f"looks at `{attr}`, from where the rest of the interpreter can be reached"
        m.find(node, "interpreter/inside", Effect.INTERPRETER, told)
    if len(owner) == 1:
        atom = owner[0]
        if type(atom) is not Ref:
            return _attribute(m, node, atom, attr)
        if atom.path in m.catalogue.exports:
            check_exported(m, node, atom.path, attr)
        return _of_library(m, atom, attr)
    return joined([_attribute(m, node, atom, attr) for atom in owner]) if owner else UNKNOWN


def _attribute(m: Machine, node: ast.AST, atom: Atom, attr: str) -> Value:
    if isinstance(atom, _WITH_METHODS):
        return (Method(atom, attr),)
    match atom:
        case Ref():
            return _of_library(m, atom, attr)
        case Obj() | Class():
            if attr in ("__class__", "__dict__"):
                return (atom.kind,) if attr == "__class__" and isinstance(atom, Obj) else UNKNOWN
            return functions.attribute(m, node, atom, attr)
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
            return (Namespace("__main__"),) if attr in _FRAME_NAMES else UNKNOWN


def _of_library(m: Machine, ref: Ref, attr: str) -> Value:
    if attr[:2] == "__" or attr in _FRAME_NAMES:
        if attr == "__dict__":
            return (Namespace(ref.path),)
        if attr in ("__call__", "__func__", "__wrapped__"):
            return (ref,)
        if attr == "__self__" and "." in ref.path:
            return (Ref(ref.path.rpartition(".")[0], bool(ref.channels), ref.channels),)
        if attr in _LOOKED_AT:
            return UNKNOWN
        if attr == "__class__" and ref.made:
            return (Ref(ref.path),)
        if attr in _FRAME_NAMES:
            return (Namespace("__main__"),)
    path = f"{ref.path}.{attr}"
    if path == "pathlib.Path.parent" and ref.channels:
        return (Ref(ref.path, True, texts.parents(ref.channels)),)
    path = m.catalogue.aliases.get(path, path)
    if m.replaced and path in m.replaced:
        return m.replaced[path]
    if path.count(".") > _LONG_PATH:
        path = f"{path.partition('.')[0]}.?.{attr}"
    if path == "sys.modules":
        return (Namespace(""),)
    if path in KNOWN:
        return (KNOWN[path],)
    return (m.member(path, ref.channels),)


def check_exported(m: Machine, node: ast.AST, module: str, name: str) -> None:
    """Note a name that a module does not have: `runtime.write_chanel`."""
    names = m.catalogue.exports[module]
    if name in names or name[:2] == "__" or m.rule(f"{module}.{name}") is not None:
        return
    near = difflib.get_close_matches(name[:60], names, 1, 0.5)
    told = f"{module.rpartition('.')[2]} has no {one_line(name, 60)}; " + (
        f"it has {near[0]}" if near else f"it has {', '.join(sorted(names))}"
    )
    m.flaw(node, "quality/runtime-name", told)


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
        elif isinstance(atom, Ref) and atom.path == "os.environ":
            found_secret(m, node, str(exact.value) if exact else "")
            found.append((Pattern(HOLE),))
        elif isinstance(atom, Ref) and atom.path == "sys.argv" and not (exact and exact.value == 0):
            found.append((Pattern(HOLE),))
        elif isinstance(atom, Ref) and atom.path.startswith(_COMMANDS):
            bound = m.semantics.models["command-bound"](m, node, Arguments(((atom,), key)))
            found.append(bound or UNKNOWN)
        elif isinstance(atom, Ref) and atom.made:
            texts_of = tuple(one for one in key if is_text(one)) or atom.channels
            found.append((Ref(atom.path, True, texts_of),))
        elif isinstance(atom, Obj | Class) and (method := _getter(m, node, atom)):
            found.append(m.call(node, method, Arguments((key,))))
        else:
            found.append((atom,) if isinstance(atom, Ref | Func | Obj) else UNKNOWN)
    return joined(found) if found else UNKNOWN


def _getter(m: Machine, node: ast.AST, owner: Obj | Class) -> Value:
    return functions.special(m, node, owner, "__getitem__") or functions.special(m, node, owner, "__missing__")


def found_secret(m: Machine, node: ast.AST, name: str) -> None:
    """Note that a variable of the environment is read; its name tells whether it is a secret."""
    telling = not name or _SECRET_WORDS.search(name)
    key = ("secret/environment", *m.where(node)[:2])
    if telling and key in m.found and m.found[key].severity is Severity.INFO:
        del m.found[key]  # of several variables the one that is a secret is told
    m.find(
        node,
        "secret/environment",
        Effect.SECRET,
        f"reads the environment variable {one_line(name, 60)}" if name else "reads a variable of the environment",
        Severity.WARNING if telling else Severity.INFO,
    )


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
        if exact.value == "__builtins__":
            return (Ref("builtins"),)
        if space.path == "__main__":
            return m.module.ever.get(exact.value) or m.from_star(exact.value) or UNKNOWN
        if not space.path:
            return (Ref(m.catalogue.aliases.get(exact.value, exact.value)),)
        return _of_library(m, Ref(space.path), exact.value)
    names = [atom.value for atom in key if isinstance(atom, Const) and isinstance(atom.value, str)]
    if names and len(names) == len(key) and space.path not in ("", "__main__"):
        return joined([_of_library(m, Ref(space.path), one) for one in names])
    if space.path != "__main__":
        return computed_name(m, node, Ref(space.path))
    # Any name of the program: what could write is among what may come out.
    return joined([UNKNOWN, *(held(value) for value in list(m.module.ever.values())[:_MOST_NAMES])])


def computed_name(m: Machine, node: ast.AST, owner: Ref) -> Value:
    """Note that a name is looked up by a text that is only known when the program runs."""
    path = owner.path
    sensitive = path in ("", "builtins", "os", "sys", "importlib", "subprocess", "ctypes")
    if sensitive or m.catalogue.is_control(path):
        m.find(
            node,
            "opaque/computed-name",
            Effect.OPAQUE,
            f"takes {f'a name of {path}' if path else 'one of the imported modules by a name'} "
            "that is only known when the program runs",
            Severity.WARNING,
            ask=True,
        )
        if m.catalogue.is_control(path):
            m.write(None, None, m.where(node)[0])
            return (Ref(f"{path.partition('.')[0]}.?", True),)
    return UNKNOWN
