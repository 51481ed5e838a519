"""Names that nothing binds, and statements that fail whenever they are reached: pyflakes knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


def mistaken_names(tree: ast.Module, *, dynamic: bool) -> Iterator[Finding]:
    """Yield a finding for each mistake; `dynamic`: code that is not seen here may bind names, none is surely free."""
    try:
        checker = Checker(tree, builtins=set(_GIVEN))
    except RecursionError:
        return
    told = sorted(cast("list[Any]", checker.messages), key=lambda found: (found.lineno, found.col))
    # pyflakes leaves rings behind: opened here, they are freed at once, with the tree that they hold.
    for scope in cast("list[dict[str, Any]]", checker.deadScopes):
        scope.clear()
    vars(checker).clear()
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
