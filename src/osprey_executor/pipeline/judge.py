"""Whether an execution that ended well left what was asked for."""

from __future__ import annotations

from osprey_executor.errors import ErrorCategory
from osprey_executor.models import ErrorReport, Outcome, PythonExecutionRequest, Stage
from osprey_executor.results import check_expected


def unmet_results(request: PythonExecutionRequest, outcome: Outcome) -> ErrorReport | None:
    """Return the report of missing or mistyped results, None where they are as asked.

    Code of a person may leave no results at all; generated code must.
    """
    if not outcome.has_results and request.code is None:
        problem = "the program left no `results`: assign a dictionary with the values to return to the name `results`"
    else:
        problem = "; ".join(check_expected(request.expected_results, outcome.results))
    if not problem:
        return None
    return ErrorReport(
        stage=Stage.COLLECTION, type="ResultsError", message=problem, category=ErrorCategory.CODE_RELATED
    )
