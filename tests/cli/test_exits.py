"""Exit codes: every status and every error has one, and code cannot choose its own."""

from __future__ import annotations

import inspect
import json

import pytest

from osprey_executor import errors
from osprey_executor.interfaces.cli import failures
from osprey_executor.interfaces.cli.exits import Exit, of_error, of_status
from osprey_executor.models import ErrorReport, RunStatus, Stage

STATUSES = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.FAILED: 1,
    RunStatus.AWAITING_APPROVAL: 3,
    RunStatus.REJECTED: 4,
    RunStatus.REFUSED: 4,
    RunStatus.TIMED_OUT: 5,
    RunStatus.OUTCOME_UNKNOWN: 7,
    RunStatus.CANCELLED: 8,
}


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_has_its_code(status: RunStatus) -> None:
    assert of_status(status) == STATUSES[status]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ConfigurationError, 2),
        (errors.ContainerConfigurationError, 2),
        (errors.InvalidRequestError, 2),
        (errors.InvalidDecision, 2),
        (errors.RunNotFoundError, 2),
        (errors.StorageError, 2),
        (errors.AwaitingApprovalError, 3),
        (errors.ExecutionRejectedError, 4),
        (errors.PolicyDeniedError, 4),
        (errors.ChannelLimitsViolationError, 4),
        (errors.ExecutionTimeoutError, 5),
        (errors.EngineUnavailableError, 6),
        (errors.ContainerConnectivityError, 6),
        (errors.GeneratorUnavailableError, 6),
        (errors.OutcomeUnknownError, 7),
        (errors.ExecutionCancelledError, 8),
    ],
)
def test_errors_have_their_code(kind: type[Exception], code: int) -> None:
    assert of_error(kind("x")) == code


def test_a_missing_extra_is_a_matter_of_configuration() -> None:
    assert of_error(errors.MissingExtraError("figures", "science")) is Exit.USAGE


def test_only_errors_of_the_code_are_left_to_code_one() -> None:
    left = {
        kind.__name__
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.PythonExecutorException)
        and kind is not errors.MissingExtraError
        and of_error(kind("x")) is Exit.FAILED
    }
    assert left == {
        "PythonExecutorException",
        "CodeGenerationError",
        "CodeQualityError",
        "CodeSyntaxError",
        "CodeRuntimeError",
        "ResultsError",
        "MaxAttemptsExceededError",
        "BudgetExceededError",  # as many attempts as the budget pays for
    }


def report(kind: str, category: errors.ErrorCategory) -> ErrorReport:
    return ErrorReport(stage=Stage.EXECUTION, type=kind, message="x", category=category)


def test_a_run_without_an_engine_is_not_a_failure_of_the_code() -> None:
    assert of_status(RunStatus.FAILED, report("EngineUnavailableError", errors.ErrorCategory.INFRASTRUCTURE)) == 6
    assert of_status(RunStatus.FAILED, report("ConfigurationError", errors.ErrorCategory.CONFIGURATION)) == 2


def test_a_full_disk_in_the_middle_of_a_run_is_not_a_failure_of_the_code() -> None:
    full = report("StorageError", errors.ErrorCategory.INFRASTRUCTURE)
    assert of_status(RunStatus.FAILED, full) == 2
    assert of_status(RunStatus.OUTCOME_UNKNOWN, full) == 7


def test_an_error_names_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.StorageError("the disk is full")
    failures.report(error, as_json=True)
    assert json.loads(capsys.readouterr().out)["error"] == {"type": "StorageError", "message": "the disk is full"}
    error.run_id = "20261123-151200-3f9a"  # type: ignore[attr-defined]
    failures.report(error, as_json=True)
    assert json.loads(capsys.readouterr().out)["error"]["run_id"] == "20261123-151200-3f9a"


def test_code_cannot_choose_its_exit_code_by_the_name_of_its_exception() -> None:
    assert of_status(RunStatus.FAILED, report("EngineUnavailableError", errors.ErrorCategory.CODE_RELATED)) == 1
    assert of_status(RunStatus.FAILED, report("ErrorCategory", errors.ErrorCategory.INFRASTRUCTURE)) == 1
