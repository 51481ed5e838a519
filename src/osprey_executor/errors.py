"""The error tree. The category of an error decides what the pipeline does next.

PythonExecutorException
├── INFRASTRUCTURE: the same code again
│   ├── EngineUnavailableError        the engine cannot give what the configuration demands
│   │   └── ContainerConnectivityError
│   ├── EngineError                   the engine broke while it ran the code
│   ├── ServiceBusyError              as many runs as the configuration allows are on their way
│   ├── StorageError                  state folder unreadable, unwritable or full
│   ├── ServiceUnreachableError       no answer of a service from where the client was told to ask
│   ├── GeneratorUnavailableError     no route to the provider, or it refused the key or the model
│   └── ControlSystemError            a channel cannot be read
│       ├── ChannelDisconnectedError  nobody answers for it
│       ├── InvalidReadingError       its own alarm says that the value is INVALID
│       ├── StaleReadingError         the value is older than the configuration allows
│       └── NotSupportedError         this connector cannot do that
├── CODE_RELATED: generate again
│   ├── CodeGenerationError           the generator gave no usable code
│   ├── CodeSyntaxError
│   ├── CodeQualityError              plain mistakes, found before the run
│   ├── CodeRuntimeError
│   └── ResultsError                  `results` missing, or not as `expected_results` says
├── WORKFLOW: stop
│   ├── ExecutionTimeoutError
│   ├── ExecutionRejectedError        a person said no
│   ├── ExecutionCancelledError
│   ├── PolicyDeniedError             the site's policy forbids this code
│   ├── WriteRefused                  a write outside what was approved
│   │   ├── ChannelLimitsViolationError
│   │   ├── WriteConflictError        somebody else wrote the channel
│   │   ├── RunAbortedError           `abort_when` came true
│   │   └── MachineBusyError          another run writes to this machine; nothing was executed
│   ├── OutcomeUnknownError           nobody can say whether a write arrived
│   ├── MaxAttemptsExceededError
│   ├── BudgetExceededError           tokens, cost or time of `execution.generation_budget` are spent
│   ├── AwaitingApprovalError         `raise_for_status()` on a run that waits for a person
│   ├── InvalidDecision
│   ├── AccessDeniedError             this person may not do that
│   │   └── NotIdentifiedError        nobody knows who asks
│   └── RunNotFoundError
└── CONFIGURATION: stop, a person must mend it
├── ConfigurationError
│   └── ContainerConfigurationError
├── MissingExtraError
└── InvalidRequestError
    └── RunGoesOnError            what was asked of a run can be told when it has ended
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorCategory(StrEnum):
    """What an error asks of the pipeline."""

    INFRASTRUCTURE = "infrastructure"
    CODE_RELATED = "code_related"
    WORKFLOW = "workflow"
    CONFIGURATION = "configuration"


class PythonExecutorException(Exception):
    """Root of every error that this package raises on purpose."""

    category: ClassVar[ErrorCategory] = ErrorCategory.WORKFLOW


class EngineUnavailableError(PythonExecutorException):
    """The engine cannot give what the configuration demands; nothing was started."""

    category = ErrorCategory.INFRASTRUCTURE


class ContainerConnectivityError(EngineUnavailableError):
    """The Jupyter server of the container engine cannot be reached."""


class EngineError(PythonExecutorException):
    """The engine broke while it ran the code; the code is not to blame."""

    category = ErrorCategory.INFRASTRUCTURE


class ServiceBusyError(PythonExecutorException):
    """As many runs as the configuration allows are on their way in this service; nothing was started."""

    category = ErrorCategory.INFRASTRUCTURE


class StorageError(PythonExecutorException):
    """The state folder or a run folder cannot be read or written."""

    category = ErrorCategory.INFRASTRUCTURE


class ServiceUnreachableError(PythonExecutorException):
    """Nobody answers at the address of a service, or something else than a service does."""

    category = ErrorCategory.INFRASTRUCTURE


class GeneratorUnavailableError(PythonExecutorException):
    """The provider of a generator cannot be reached, or refused the key or the model."""

    category = ErrorCategory.INFRASTRUCTURE


class ControlSystemError(PythonExecutorException):
    """A channel cannot be read: not found, disconnected, or of an invalid value."""

    category = ErrorCategory.INFRASTRUCTURE


class ChannelDisconnectedError(ControlSystemError):
    """Nobody answers for a channel: there is none of that name, or its server is away."""


class InvalidReadingError(ControlSystemError):
    """A channel answers, and its alarm severity says that the value is INVALID."""


class StaleReadingError(ControlSystemError):
    """The time stamp of a value is older than `control_system.stale_after` allows."""


class NotSupportedError(ControlSystemError):
    """The connector cannot do what was asked; the message names one that can."""


class CodeGenerationError(PythonExecutorException):
    """The generator answered, but not with usable code."""

    category = ErrorCategory.CODE_RELATED


class CodeSyntaxError(PythonExecutorException):
    """The code does not parse."""

    category = ErrorCategory.CODE_RELATED


class CodeQualityError(PythonExecutorException):
    """The generated program has plain mistakes: names that nothing binds, modules that are not there, no results."""

    category = ErrorCategory.CODE_RELATED


class CodeRuntimeError(PythonExecutorException):
    """The code ran and failed."""

    category = ErrorCategory.CODE_RELATED


class ResultsError(PythonExecutorException):
    """`results` is missing, cannot be encoded, or is not what `expected_results` asks."""

    category = ErrorCategory.CODE_RELATED


class ExecutionTimeoutError(PythonExecutorException):
    """The run passed its time limit and was ended as a whole."""


class ExecutionRejectedError(PythonExecutorException):
    """A person rejected the run."""


class ExecutionCancelledError(PythonExecutorException):
    """The run was cancelled."""


class PolicyDeniedError(PythonExecutorException):
    """The site's policy forbids this code; nothing ran."""


class WriteRefused(PythonExecutorException):
    """A write outside what a person approved; it was not sent."""


class ChannelLimitsViolationError(WriteRefused):
    """A write outside the limits of its channel; it was not sent."""


class WriteConflictError(WriteRefused):
    """Somebody else has written a channel since it was approved, or since this run wrote it; the run was stopped."""


class MachineBusyError(WriteRefused):
    """Another run holds the machine, or one of the channels, for writing."""


class RunAbortedError(WriteRefused):
    """A condition of `control_system.abort_when` came true during the run; nothing more was written for it."""


class OutcomeUnknownError(PythonExecutorException):
    """The run may have written, and nobody can say whether the last write arrived."""


class MaxAttemptsExceededError(PythonExecutorException):
    """Every allowed attempt failed."""


class BudgetExceededError(PythonExecutorException):
    """What the configuration allows for generating code is spent: tokens, cost or time of all attempts together."""


class AwaitingApprovalError(PythonExecutorException):
    """The run waits for a person; it has no result yet."""


class InvalidDecision(PythonExecutorException, ValueError):
    """Not a decision: only Approve, Reject and Edit are, with the digest of the card that was shown."""


class AccessDeniedError(PythonExecutorException):
    """The person who asks has no role that allows it; nothing was done."""


class NotIdentifiedError(AccessDeniedError):
    """Who asks has not shown who they are: no token, or nobody's."""


class RunNotFoundError(PythonExecutorException, KeyError):
    """No run of that id in this state folder."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigurationError(PythonExecutorException, ValueError):
    """The configuration cannot be used.

    Args:
        message: why.
        problems: each by itself, where there are several; else the message is the only one.
    """

    category = ErrorCategory.CONFIGURATION

    def __init__(self, message: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)


class ContainerConfigurationError(ConfigurationError):
    """The configuration of the container engine cannot be used."""


class MissingExtraError(PythonExecutorException, ImportError):
    """An optional part is not installed; the message names the extra and the command."""

    category = ErrorCategory.CONFIGURATION

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{what} needs the extra {extra!r}, which is not installed: pip install 'osprey-executor[{extra}]'"
        )


class InvalidRequestError(PythonExecutorException, ValueError):
    """The request cannot be used."""

    category = ErrorCategory.CONFIGURATION


class RunGoesOnError(InvalidRequestError):
    """What was asked of a run can only be told, or done, when it has ended."""
