"""What follows a failure: the same code again, other code, or the end."""

from __future__ import annotations

from osprey_executor.approval import Asking, rehearses
from osprey_executor.errors import ErrorCategory
from osprey_executor.models import Attempt, ErrorReport, Generation, MachineEffects, RunStatus, Stage
from osprey_executor.models.events import AttemptFailed
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State

_RUNS = (Stage.REHEARSAL, Stage.EXECUTION)


def after_failure(
    state: State, rooms: Rooms, report: ErrorReport, *, status: RunStatus = RunStatus.FAILED, approved: bool = False
) -> State:
    """Return the update that follows `report`.

    What touched the machine is never followed by another try, and an approval holds for one execution: other code is
    asked about anew, the same code is not run a second time.

    Args:
        state: the state of the run.
        rooms: its equipment.
        report: what failed.
        status: how the run ends if it ends here.
        approved: whether the failed execution used up an approval.
    """
    rooms.emit(AttemptFailed(run_id=rooms.run_id, error=report, attempt=state.get("attempt", 1)))
    before_execution = report.stage in (Stage.GENERATION, Stage.ANALYSIS, Stage.APPROVAL)
    counter = "generation_failures" if before_execution else "execution_failures"
    failures = state.get(counter, 0) + 1
    update: State = {
        "error": report.model_dump_json(),
        "failures": [*state.get("failures", []), report.model_dump_json()],
        "attempts": with_attempt(state, report),
        "next": "collect",
        "status": status.value,
    }
    update[counter] = failures
    if status is not RunStatus.FAILED or failures > _allowed(rooms, before_execution):
        return update
    if state.get("effects", MachineEffects.NONE) != MachineEffects.NONE:
        return update
    if report.category is ErrorCategory.CODE_RELATED and rooms.request.code is None:
        return update | {"next": "generate", "status": ""}
    if report.category is ErrorCategory.INFRASTRUCTURE and report.stage in _RUNS and not approved:
        return update | {"next": first_step(rooms), "status": ""}
    return update


def denied_report(asking: Asking, stage: Stage, code: str) -> ErrorReport:
    """Return the report of a program that the site's policy denies."""
    return ErrorReport(
        stage=stage, type="PolicyDeniedError", message=asking.reason, category=ErrorCategory.WORKFLOW, code=code
    )


def first_step(rooms: Rooms) -> str:
    """Return the node in which a program starts that nobody has approved yet."""
    return "rehearse" if rehearses(rooms.config, rooms.broker.report) else "execute"


def with_attempt(state: State, error: ErrorReport | None) -> list[str]:
    """Return the attempts of the run with the one at hand, which ended with `error` or well."""
    ran = state.get("outcome_status")
    kept = error.model_copy(update={"code": None}) if error else None
    number = state.get("attempt", 1)
    took = state.get("generations", {}).get(str(number))
    attempt = Attempt(
        number=number,
        code="",
        status=RunStatus(ran) if ran else None,
        error=kept,
        generation=Generation.model_validate_json(took) if took else None,
    )
    return [*state.get("attempts", []), attempt.model_dump_json()]


def _allowed(rooms: Rooms, before_execution: bool) -> int:
    if rooms.request.retries is not None:
        return rooms.request.retries
    execution = rooms.config.execution
    return execution.max_generation_retries if before_execution else execution.max_execution_retries
