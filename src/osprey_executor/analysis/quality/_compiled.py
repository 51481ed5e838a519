"""Errors that Python finds only when it compiles: a `nonlocal` of nothing, two stars in one target."""

from __future__ import annotations

import ast
import platform
import warnings

from osprey_executor.models import Finding, FindingKind, Severity
from osprey_executor.text import one_line


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
