"""Names that nothing binds, and statements that fail whenever they are reached: pyflakes knows."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Any, cast

from pyflakes import messages
from pyflakes.checker import Checker

from osprey_executor.models import Finding, FindingKind, Severity
from osprey_executor.text import one_line

_GIVEN = frozenset(("context", "__file__", "__name__"))
"""Names that every run finds."""
_NAMES = (messages.UndefinedName, messages.UndefinedLocal)
_FAILS = (
    messages.ReturnOutsideFunction,
    messages.YieldOutsideFunction,
    messages.ContinueOutsideLoop,
    messages.BreakOutsideLoop,
    messages.DefaultExceptNotLast,
    messages.TwoStarredExpressions,
    messages.TooManyExpressionsInStarredAssignment,
    messages.DuplicateArgument,
    messages.FutureFeatureNotDefined,
    messages.LateFutureImport,
    messages.StringDotFormatExtraPositionalArguments,
    messages.StringDotFormatMissingArgument,
    messages.StringDotFormatInvalidFormat,
    messages.StringDotFormatMixingAutomatic,
    messages.PercentFormatInvalidFormat,
    messages.PercentFormatMixedPositionalAndNamed,
    messages.PercentFormatMissingArgument,
    messages.PercentFormatPositionalCountMismatch,
    messages.PercentFormatExpectedMapping,
    messages.PercentFormatExpectedSequence,
    messages.RaiseNotImplemented,
)
_HARMLESS = (messages.StringDotFormatExtraPositionalArguments,)
_DOUBTFUL = (messages.IfTuple, messages.AssertTuple, messages.IsLiteral, messages.InvalidPrintSyntax)


_SILENT = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_SAYS_NOTHING = frozenset(kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, _SILENT))
"""Nodes that tell how another one is meant, and that pyflakes has nothing to say of: two of five."""


class _Checker(Checker):
    """pyflakes, which notes on its way the nodes that others look at, so that the tree is gone through once."""

    def __init__(self, tree: ast.Module, kinds: Collection[type[ast.AST]], *, typed: bool) -> None:
        self.met: list[ast.AST] = []
        self._kinds = kinds
        self._typed = typed
        super().__init__(tree, builtins=set(_GIVEN))

    def handleNode(self, node: ast.AST | None, parent: ast.AST | None) -> None:  # as pyflakes calls it
        kind = type(node)
        if kind in _SAYS_NOTHING:
            return
        if kind in self._kinds and node is not None:
            self.met.append(node)
        super().handleNode(node, parent)

    def CALL(self, node: ast.Call) -> None:
        # Each call is held against eight names of `typing`, which takes a third of the time: not where it is not there.
        if self._typed or (isinstance(node.func, ast.Attribute) and node.func.attr == "format"):
            super().CALL(node)
        else:
            self.handleChildren(node)


def checked(tree: ast.Module, text: str, kinds: Collection[type[ast.AST]]) -> tuple[list[Any], list[ast.AST]]:
    """Return what pyflakes says of a program, and its nodes of some kinds, parents before what is in them."""
    try:
        checker = _Checker(tree, kinds, typed="typing" in text)
    except RecursionError:
        return [], [node for node in ast.walk(tree) if type(node) in kinds]
    told, met = cast("list[Any]", checker.messages), checker.met
    # pyflakes leaves rings behind: opened here, they are freed at once, with the tree that they hold.
    for scope in cast("list[dict[str, Any]]", checker.deadScopes):
        scope.clear()
    vars(checker).clear()
    return sorted(told, key=lambda found: (found.lineno, found.col)), met


def mistaken_names(told: list[Any], *, dynamic: bool) -> Iterator[Finding]:
    """Yield a finding for each mistake; `dynamic`: code that is not seen here may bind names, none is surely free."""
    for found in told:
        if isinstance(found, _NAMES):
            rule, severity = "name", Severity.WARNING if dynamic else Severity.ERROR
        elif isinstance(found, _FAILS) and not isinstance(found, _HARMLESS):
            rule, severity = "statement", Severity.ERROR
        elif isinstance(found, _DOUBTFUL):
            rule, severity = "doubtful", Severity.WARNING
        else:
            continue
        yield Finding(
            rule=f"quality/{rule}",
            line=max(int(found.lineno), 1),
            column=int(found.col) + 1,
            severity=severity,
            message=one_line(str(found.message) % found.message_args, 300),
            kind=FindingKind.QUALITY,
        )
