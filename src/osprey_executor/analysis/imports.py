"""What an import brings, and whether anyone knows what code it runs."""

from __future__ import annotations

import ast

from osprey_executor.analysis.lookups import KNOWN, check_exported
from osprey_executor.analysis.machine import Arguments, Machine
from osprey_executor.analysis.values import UNKNOWN, Ref, Value, only_const
from osprey_executor.models import Confidence, Effect, Severity
from osprey_executor.text import one_line


def import_modules(m: Machine, node: ast.Import) -> None:
    """`import a.b as c`."""
    for alias in node.names:
        if _own_file(m, node, alias.name):
            m.bind(alias.asname or alias.name.partition(".")[0], UNKNOWN)
            continue
        path = bring(m, node, alias.name)
        if alias.asname:
            m.bind(alias.asname, (Ref(path),), alias)
        else:
            root = alias.name.partition(".")[0]
            m.bind(root, (Ref(m.catalogue.aliases.get(root, root)),), alias)


def import_from(m: Machine, node: ast.ImportFrom) -> None:
    """`from a import b as c`."""
    module = node.module or ""
    if _own_file(m, node, module):
        for alias in node.names:
            m.bind(alias.asname or alias.name, UNKNOWN)
        return
    path = bring(m, node, module) if module else "?"
    for alias in node.names:
        if alias.name == "*":
            m.stars.append(path)
            continue
        inner = f"{path}.{alias.name}"
        if path in m.catalogue.exports:
            check_exported(m, node, path, alias.name)
        m.brought.setdefault(inner, node)
        known = KNOWN.get(inner) or Ref(m.catalogue.aliases.get(inner, inner))
        m.bind(alias.asname or alias.name, (known,), alias)


def bring(m: Machine, node: ast.AST, name: str) -> str:
    """Note that a module is imported; return its path in the catalogue."""
    aliases = m.catalogue.aliases
    path = aliases.get(name)
    if path is None:
        root, _, rest = name.partition(".")
        path = f"{aliases.get(root, root)}.{rest}" if rest else aliases.get(root, root)
        path = aliases.get(path, path)
    m.modules.add(path)
    root = path.partition(".")[0]
    if root in m.catalogue.control:
        m.imported.add(root)
    if m.catalogue.knows(root):
        m.brought.setdefault(path, node)
        return path
    if root not in m.unlisted:
        m.unlisted[root] = None
        told = f"uses {one_line(root, 60)}, which no catalogue lists: what it does to the world is not known here"
        m.find(node, "note/unlisted-library", None, told, confidence=Confidence.POSSIBLE)
    if m.path_changed:
        m.find(
            node,
            "opaque/import-from-elsewhere",
            Effect.OPAQUE,
            f"imports {name} after changing where Python looks for modules: its code is not seen here",
            Severity.WARNING,
            ask=True,
        )
    return path


def _own_file(m: Machine, node: ast.AST, name: str) -> bool:
    """Analyse a module that the program itself wrote; return whether it is one."""
    written = m.files.get(f"{name.replace('.', '/')}.py")
    if written is None:
        return False
    run_written(m, node, written, f"{name}.py")
    return True


def run_written(m: Machine, node: ast.AST, written: Value, name: str) -> None:
    """Analyse code that the program wrote to a file and now runs."""
    m.call(node, (Ref("builtins.exec"),), Arguments((written,))) if only_const(written) else m.find(
        node,
        "opaque/written-code",
        Effect.OPAQUE,
        f"runs the code of {name}, which is only known when the program runs",
        Severity.WARNING,
        ask=True,
    )
