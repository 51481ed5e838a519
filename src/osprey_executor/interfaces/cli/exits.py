"""The one place that turns errors and statuses into exit codes."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from osprey_executor import errors
from osprey_executor.interfaces.cli import early

if TYPE_CHECKING:
    from osprey_executor.models import ErrorReport, RunStatus


class Exit(IntEnum):
    """What the command tells the shell."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    AWAITING_APPROVAL = 3
    REFUSED = 4
    TIMED_OUT = 5
    UNAVAILABLE = 6
    OUTCOME_UNKNOWN = 7
    CANCELLED = 8
    INTERRUPTED = early.INTERRUPTED


_OF_STATUS: Final = {
    "succeeded": Exit.SUCCEEDED,
    "failed": Exit.FAILED,
    "rejected": Exit.REFUSED,
    "refused": Exit.REFUSED,
    "timed_out": Exit.TIMED_OUT,
    "cancelled": Exit.CANCELLED,
    "awaiting_approval": Exit.AWAITING_APPROVAL,
    "outcome_unknown": Exit.OUTCOME_UNKNOWN,
}

# The first class that an error is an instance of decides, so a subclass stands before its base.
_OF_ERROR: Final[tuple[tuple[type[BaseException], Exit], ...]] = (
    (errors.EngineUnavailableError, Exit.UNAVAILABLE),
    (errors.EngineError, Exit.UNAVAILABLE),
    (errors.ServiceBusyError, Exit.UNAVAILABLE),
    (errors.ServiceUnreachableError, Exit.UNAVAILABLE),
    (errors.GeneratorUnavailableError, Exit.UNAVAILABLE),
    (errors.ControlSystemError, Exit.UNAVAILABLE),
    (errors.StorageError, Exit.USAGE),
    (errors.ConfigurationError, Exit.USAGE),
    (errors.MissingExtraError, Exit.USAGE),
    (errors.InvalidRequestError, Exit.USAGE),
    (errors.InvalidDecision, Exit.USAGE),
    (errors.RunNotFoundError, Exit.USAGE),
    (errors.AccessDeniedError, Exit.REFUSED),
    (errors.ExecutionTimeoutError, Exit.TIMED_OUT),
    (errors.ExecutionRejectedError, Exit.REFUSED),
    (errors.PolicyDeniedError, Exit.REFUSED),
    (errors.WriteRefused, Exit.REFUSED),
    (errors.ExecutionCancelledError, Exit.CANCELLED),
    (errors.OutcomeUnknownError, Exit.OUTCOME_UNKNOWN),
    (errors.AwaitingApprovalError, Exit.AWAITING_APPROVAL),
)
_NOT_THE_CODE: Final = (errors.ErrorCategory.INFRASTRUCTURE, errors.ErrorCategory.CONFIGURATION)


def of_error(error: BaseException) -> Exit:
    """Return the exit code of an error that reached the command line."""
    return _of_class(type(error))


def of_status(status: RunStatus, error: ErrorReport | None = None) -> Exit:
    """Return the exit code of a run.

    A run that failed because a part of the house is missing is not a failure of the code. Its class counts only where
    the pipeline's own category agrees, as code may raise an exception of any name.
    """
    code = _OF_STATUS[status.value]
    if code is Exit.FAILED and error is not None and error.category in _NOT_THE_CODE:
        kind = getattr(errors, error.type, None)
        if isinstance(kind, type) and issubclass(kind, errors.PythonExecutorException):
            return _of_class(kind)
    return code


def _of_class(kind: type[BaseException]) -> Exit:
    return next((code for base, code in _OF_ERROR if issubclass(kind, base)), Exit.FAILED)
