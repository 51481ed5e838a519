"""What a generator is told of earlier failures: all, until a fresh program promises more than another repair."""

from __future__ import annotations

from osprey_executor.errors import ErrorCategory
from osprey_executor.models import ErrorReport, Stage
from osprey_executor.pipeline.state import State


def failures(state: State) -> list[ErrorReport]:
    """Return the reports of all programs that failed by their own fault; trouble of the infrastructure is none."""
    reports = [ErrorReport.model_validate_json(text) for text in state.get("failures", [])]
    return [report for report in reports if report.category is ErrorCategory.CODE_RELATED]


def error_chain(reports: list[ErrorReport], repairs: int) -> list[str]:
    """Return the reports that the next program is to learn from, as text.

    After `repairs` repairs of one program the next one begins afresh: a model that is stuck repeats itself as long as
    it sees its own code. What a person said in a rejection is never left out.
    """
    fresh = len(reports) - len(reports) % (repairs + 1)
    return [
        report.for_generator()
        for number, report in enumerate(reports)
        if number >= fresh or report.stage is Stage.APPROVAL
    ]
