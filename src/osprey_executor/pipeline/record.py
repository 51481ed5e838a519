"""From the state of a run and what lies in its folder to the result that everyone sees."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from osprey_executor.errors import ErrorCategory, StorageError
from osprey_executor.models import (
    AnalysisReport,
    ApprovalCard,
    Attempt,
    ControlSession,
    ControlSystemReport,
    ErrorReport,
    IsolationReport,
    MachineEffects,
    Outcome,
    RunResult,
    RunStatus,
    Stage,
    Timings,
    Used,
)
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.threads import InThread
from osprey_executor.results import RunFolder
from osprey_executor.storage import RunStore


async def record_end(
    store: RunStore,
    folder: RunFolder,
    state: State,
    *,
    status: RunStatus,
    effects: MachineEffects,
    error: ErrorReport | None,
    in_thread: InThread = asyncio.to_thread,
) -> RunResult:
    """Write the record of a run that has ended, then its end in the index; done twice it is the same.

    Raises:
        StorageError: the record cannot be written.
    """
    summary = await store.summary(folder.run_id)
    if effects is MachineEffects.UNKNOWN:
        status = RunStatus.OUTCOME_UNKNOWN

    def write() -> RunResult:
        result = _result(folder, state, status=status, effects=effects, error=error)
        known = {
            "created_at": summary.created_at,
            "finished_at": datetime.now(UTC),
            "generator": state.get("written_by") or summary.generator,
        }
        return folder.finish(result.model_copy(update=known), control_system=result.control_system)

    result = await in_thread(write)
    await store.set_state(folder.run_id, status, effects)
    return result


def waiting_result(folder: RunFolder, state: State, card: ApprovalCard) -> RunResult:
    """Return the result of a run that waits for a decision on `card`."""
    result = _result(folder, state, status=RunStatus.AWAITING_APPROVAL, effects=MachineEffects.NONE, error=None)
    return result.model_copy(update={"digest": card.digest, "generator": state.get("written_by", "")})


def cancelled(run_id: str) -> ErrorReport:
    """Return the report of a run that was cancelled."""
    return ErrorReport(
        stage=Stage.EXECUTION,
        type="ExecutionCancelledError",
        message=f"run {run_id} was cancelled",
        category=ErrorCategory.WORKFLOW,
    )


async def unrecorded_result(folder: RunFolder, state: State, session: ControlSession, error: StorageError) -> RunResult:
    """Return the result of a run that moved the machine and whose record cannot be written."""
    report = ErrorReport(
        stage=Stage.COLLECTION,
        type="StorageError",
        message=f"{error}. The run had written to the machine; its record is incomplete, look at {folder.journal}",
        category=ErrorCategory.INFRASTRUCTURE,
    )
    result = await asyncio.to_thread(
        _result, folder, state, status=RunStatus.OUTCOME_UNKNOWN, effects=session.effects, error=report
    )
    return result.model_copy(
        update={
            "writes": tuple(session.writes),
            "refusals": tuple(session.refusals),
            "generator": state.get("written_by", ""),
        }
    )


def with_notes(outcome: Outcome, session: ControlSession) -> Outcome:
    """Return the outcome with what the session has to say."""
    return outcome.model_copy(update={"notes": (*outcome.notes, *session.notes)})


def _result(
    folder: RunFolder, state: State, *, status: RunStatus, effects: MachineEffects, error: ErrorReport | None
) -> RunResult:
    request = folder.load_request()
    attempts = tuple(_attempt(folder, text) for text in state.get("attempts", []))
    card, report, control = state.get("card"), state.get("report"), state.get("control")
    if status is RunStatus.FAILED and error and _tried_again(error) and len(attempts) > 1 and request.code is None:
        error = error.model_copy(
            update={
                "type": "MaxAttemptsExceededError",
                "message": f"{len(attempts)} attempts failed; the last one: {error.type}: {error.message}",
            }
        )
    timings = state.get("timings", {})
    result = RunResult(
        run_id=folder.run_id,
        status=status,
        effects=effects,
        task=request.user_query,
        requester=request.requester,
        approver=state.get("approver") or None,
        proof=state.get("proof") or None,
        digest=ApprovalCard.model_validate_json(card).digest if card else None,
        folder=folder.path,
        code=state.get("code"),
        attempts=attempts,
        analysis=AnalysisReport.model_validate_json(report) if report else None,
        isolation=_isolation(state),
        control_system=ControlSystemReport.model_validate_json(control) if control else None,
        memory=tuple(Used.model_validate_json(text) for text in state.get("memory", [])),
        notes=tuple(state.get("notes", [])),
        error=error,
        timings=Timings(**timings, total=sum(timings.values())),
        created_at=datetime.now(UTC),
    )
    last = folder.attempt(state.get("attempt", 1))
    return result.model_copy(update={"isolation": last.record().isolation}) if last.has_outcome else result


def _tried_again(error: ErrorReport) -> bool:
    """Whether another attempt follows such an error while there are attempts left."""
    if error.category is ErrorCategory.INFRASTRUCTURE:
        return error.stage is not Stage.GENERATION
    return error.category is ErrorCategory.CODE_RELATED


def _isolation(state: State) -> IsolationReport:
    told = state.get("isolation")
    return IsolationReport.model_validate_json(told) if told else IsolationReport()


def _attempt(folder: RunFolder, text: str) -> Attempt:
    attempt = Attempt.model_validate_json(text)
    try:
        code = folder.attempt(attempt.number).code().decode("utf-8", "replace")
    except StorageError:
        code = ""  # the generator gave none
    return attempt.model_copy(update={"code": code})
