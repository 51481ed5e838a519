"""Data that can run code when it is loaded: pickles, YAML, and what libraries keep in them."""

from __future__ import annotations

import ast
import pickletools

from osprey_executor.analysis.calls import let_go
from osprey_executor.analysis.files import file_write
from osprey_executor.analysis.machine import Arguments, Machine, Model
from osprey_executor.analysis.places import path_of
from osprey_executor.analysis.values import (
    NOTHING,
    UNKNOWN,
    Const,
    Ref,
    Value,
    held,
)
from osprey_executor.models import Effect, Severity

_UNPICKLES = "unpickles data that is not seen here: a pickle can run any code"


def _dumped(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for value in given.args[1:2]:
        for path in path_of(tuple(a for a in value if not (isinstance(a, Ref) and a.path == "io.TextIOWrapper"))):
            if isinstance(path, Const):
                m.files[f"pickle:{path.value}"] = NOTHING
        for atom in value:
            if isinstance(atom, Ref) and atom.path == "io.TextIOWrapper":
                for path in atom.channels:
                    if isinstance(path, Const):
                        m.files[f"pickle:{path.value}"] = NOTHING
    file_write(m, node, "writes a pickle")
    return UNKNOWN


def _dumped_text(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    for value in given.args[:1]:
        for atom in held(value):
            let_go(m, node, atom)
    return (Ref("pickle.dumped", True),)


def _loaded(m: Machine, node: ast.AST, given: Arguments, told: str = _UNPICKLES) -> Value | None:
    for atom in given.get(0, "data", "file", "filename", "f") or UNKNOWN:
        if isinstance(atom, Ref) and atom.path in ("pickle.dumped", "io.BytesIO"):
            continue
        paths = atom.channels if isinstance(atom, Ref) and atom.path == "io.TextIOWrapper" else (atom,)
        if paths and all(isinstance(path, Const) and f"pickle:{path.value}" in m.files for path in paths):
            continue
        if isinstance(atom, Const) and isinstance(atom.value, bytes) and _pickled(m, node, atom.value):
            continue
        m.find(node, "opaque/unpickle", Effect.OPAQUE, told, Severity.WARNING, ask=True)
        m.write(None, None, m.where(node)[0])
    return UNKNOWN


def _unmarshalled(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    return _loaded(m, node, given, "loads marshalled data that is not seen here: it can hold any code")


def _pickled(m: Machine, node: ast.AST, data: bytes) -> bool:
    """Return whether a constant pickle names nothing of a library; what it names is noted as called."""
    strings: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(data[:100_000]):
            if code.name in ("GLOBAL", "INST") and isinstance(argument, str):
                path = argument.replace(" ", ".")
            elif code.name == "STACK_GLOBAL":
                path = ".".join(strings[-2:])
            else:
                if isinstance(argument, str):
                    strings.append(argument)
                continue
            ref = Ref(m.catalogue.aliases.get(path, path))
            rule = m.catalogue.rule(ref.path)
            if rule is None:
                return False
            m.apply(node, rule, ref, None)
    except Exception:  # pickletools raises many kinds on bytes that are no pickle
        return False
    return True


def _yaml(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
    loader = given.get(1, "Loader")
    if loader and all(isinstance(atom, Ref) and "Safe" in atom.path for atom in loader):
        return UNKNOWN
    m.find(
        node,
        "opaque/yaml-load",
        Effect.OPAQUE,
        "loads YAML with a loader that can make any Python object, and so run any code",
        Severity.WARNING,
        ask=True,
    )
    return UNKNOWN


def _loaded_unless_told(keyword: str, safe: object) -> Model:
    """A loader that is safe by default and unsafe with `keyword=False`, or only that way in old releases."""

    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        told = given.get(keyword)
        if told is not None and all(isinstance(atom, Const) and atom.value is safe for atom in told):
            return UNKNOWN
        return _loaded(m, node, given)

    return model


def _loaded_if_told(keyword: str) -> Model:
    def model(m: Machine, node: ast.AST, given: Arguments) -> Value | None:
        told = given.get(keyword)
        if not told or all(isinstance(atom, Const) and not atom.value for atom in told):
            return UNKNOWN
        return _loaded(m, node, given)

    return model


MODELS: dict[str, Model] = {
    **dict.fromkeys(("pickle.dumps", "dill.dumps", "cloudpickle.dumps", "marshal.dumps"), _dumped_text),
    "unpickle": _loaded,
    "unmarshal": _unmarshalled,
    "pickle-to-file": _dumped,
    "yaml": _yaml,
    "torch-load": _loaded_unless_told("weights_only", True),
    "numpy-load": _loaded_if_told("allow_pickle"),
}
