"""Errors that Python finds only when it compiles: a `nonlocal` of nothing, two stars in one target."""

from __future__ import annotations

import ast
import platform
import warnings
from collections.abc import Iterable

from osprey_executor.models import Finding, FindingKind, Severity
from osprey_executor.text import one_line

_ITS_OWN = frozenset(
    (
        *(ast.Starred, ast.TryStar, ast.Match, ast.Yield, ast.YieldFrom),
        *(kind for name in ("TypeVar", "TypeAlias") if (kind := getattr(ast, name, None)) is not None),
    )
)
"""Kinds of nodes that only the compiler knows the rules of."""
_RULED = ("global", "nonlocal", "async", "await", ":=", "__debug__", "__future__", "import *", "import*")
"""What else stands where it knows more than pyflakes."""
_BLOCKS = (ast.For, ast.While, ast.With, ast.Try)
JUDGED = _ITS_OWN.union(_BLOCKS, (ast.Call, ast.ClassDef))
"""Kinds of nodes by which `may_be_refused` decides."""
_DEEP_COLUMN, _MANY_CONTEXTS = 16, 4
"""From where on there may be the twenty blocks in one another that are too many for Python."""


def may_be_refused(text: str, nodes: Iterable[ast.AST]) -> bool:
    """Return whether a program holds what only the compiler can judge: to compile costs as much as to parse."""
    if any(word in text for word in _RULED):
        return True
    return any(type(node) in _ITS_OWN or _is_ruled(node) for node in nodes)


def _is_ruled(node: ast.AST) -> bool:
    if isinstance(node, ast.Call | ast.ClassDef):
        names = [keyword.arg for keyword in node.keywords]
        return len(set(names)) < len(names)
    if isinstance(node, _BLOCKS):
        return node.col_offset >= _DEEP_COLUMN or len(getattr(node, "items", ())) > _MANY_CONTEXTS
    return False


def refused(tree: ast.Module) -> Finding | None:
    """Return why Python would not compile a program, None where it would; nothing of it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(tree, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return Finding(
            rule="quality/statement",
            line=max(error.lineno or 1, 1),
            column=max(error.offset or 1, 1),
            severity=Severity.ERROR,
            message=f"{one_line(error.msg or 'does not compile', 300)} (Python {platform.python_version()})",
            kind=FindingKind.QUALITY,
        )
    except (ValueError, TypeError, RecursionError, MemoryError, OverflowError):  # nobody can tell
        return None
    return None
