"""The outcome is judged: another attempt, or the end of the run and its record."""

from __future__ import annotations

from langgraph.runtime import Runtime

from osprey_executor.models import ErrorReport, MachineEffects, Outcome, RunStatus, Stage
from osprey_executor.models.events import StageStarted
from osprey_executor.pipeline.judge import unmet_results
from osprey_executor.pipeline.record import record_end
from osprey_executor.pipeline.retry import after_failure, with_attempt
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed


async def collect(state: State, runtime: Runtime[Rooms]) -> State:
    """Judge the last execution if there was one since, then go back for another attempt or write the record."""
    rooms = runtime.context
    attempt = state.get("attempt", 1)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.COLLECTION, attempt=attempt))
    with timed(state, "collection") as timings:
        update: State = {"next": "end"}
        if state.get("outcome_status") and not state.get("status"):
            # Without a name: large results would be in memory until the record, which reads them, is written.
            update = _judge(state, rooms, await rooms.in_thread(rooms.folder.attempt(attempt).outcome))
            if update.get("next") != "end":
                return update | {"timings": timings()}
        ended: State = {**state, **update, "timings": timings()}
        error = ended.get("error")
        rooms.result = await record_end(
            rooms.store,
            rooms.folder,
            ended,
            status=RunStatus(ended.get("status") or RunStatus.FAILED),
            effects=MachineEffects(ended.get("effects") or MachineEffects.NONE),
            error=ErrorReport.model_validate_json(error) if error else None,
            in_thread=rooms.in_thread,
        )
    return update | {"timings": timings()}


def _judge(state: State, rooms: Rooms, outcome: Outcome) -> State:
    approved = bool(state.get("card"))
    if outcome.status is RunStatus.SUCCEEDED:
        unmet = unmet_results(rooms.request, outcome)
        if unmet is None:
            return {
                "status": RunStatus.SUCCEEDED.value,
                "error": "",
                "attempts": with_attempt(state, None),
                "next": "end",
            }
        unmet = unmet.model_copy(update={"code": state.get("code")})
        return _ended(after_failure(state, rooms, unmet, approved=approved))
    error = outcome.error or ErrorReport(
        stage=Stage.EXECUTION, type="CodeRuntimeError", message=f"the run {outcome.status}", code=state.get("code")
    )
    return _ended(after_failure(state, rooms, error, status=outcome.status, approved=approved))


def _ended(update: State) -> State:
    return update | {"next": "end"} if update.get("next") == "collect" else update
