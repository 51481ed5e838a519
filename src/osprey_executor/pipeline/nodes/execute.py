"""Code runs: once for each approval, recorded before it starts and after it ended."""

from __future__ import annotations

from datetime import UTC, datetime

from langgraph.runtime import Runtime

from osprey_executor.approval import issue_grant
from osprey_executor.errors import EngineError, EngineUnavailableError, ErrorCategory
from osprey_executor.execution import EngineEvent, FigureDrawn, OutputChunk
from osprey_executor.models import (
    AnalysisReport,
    ApprovalCard,
    ControlSession,
    ErrorReport,
    MachineEffects,
    Outcome,
    Program,
    RunStatus,
    Stage,
)
from osprey_executor.models.events import Output, Progress, Queued, StageStarted
from osprey_executor.pipeline.binding import card_of
from osprey_executor.pipeline.figures import LiveFigures, live_figures
from osprey_executor.pipeline.permit import permit_for
from osprey_executor.pipeline.record import with_notes
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed, with_time


async def execute(state: State, runtime: Runtime[Rooms]) -> State:
    """Run the program in the engine when its turn comes, under the grant of its approval if it has one."""
    rooms = runtime.context
    queued = Queued(run_id=rooms.run_id, attempt=state.get("attempt", 1))
    async with rooms.turns.turn(lambda: rooms.emit(queued)) as waited:
        return await _execute(with_time(state, "waiting", waited), rooms)


async def _execute(state: State, rooms: Rooms) -> State:
    code, attempt = state.get("code", ""), state.get("attempt", 1)
    shown = state.get("card")
    card = ApprovalCard.model_validate_json(shown) if shown else None
    await rooms.look_at_limits()
    if card and (changed := await _changed_since(card, rooms, state)):
        return after_failure(state, rooms, changed, status=RunStatus.REFUSED)
    grant = (
        issue_grant(card, approver=state.get("approver", ""), key=rooms.key, now=datetime.now(UTC)) if card else None
    )
    permit = permit_for(rooms.config, rooms.broker.report, grant, rooms.key)
    number = state.get("execution", 0) + 1
    digest = card.digest if card else None
    await rooms.store.begin_execution(rooms.run_id, number, may_write=permit is not None, digest=digest)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.EXECUTION, attempt=attempt))
    rooms.session = session = rooms.broker.session(
        run_id=rooms.run_id, permit=permit, journal=rooms.folder.journal, limits=rooms.limits
    )
    program = await rooms.in_thread(_program, rooms, code, number)
    with timed(state, "execution") as timings:
        try:
            async with live_figures(rooms) as figures:
                outcome = await rooms.engine.run(
                    program, control=session, on_event=lambda event: _tell(event, rooms, figures)
                )
        except (EngineError, EngineUnavailableError) as error:
            outcome = _broken(error, session, rooms, code)
        outcome = with_notes(outcome, session)
        await rooms.in_thread(
            rooms.folder.attempt(attempt).save_outcome,
            outcome,
            root=program.folder,
            reads=session.reads,
            writes=session.writes,
            refusals=session.refusals,
            effects=session.effects,
        )
    await rooms.store.end_execution(rooms.run_id, number, session.effects)
    return {
        "execution": number,
        "outcome_status": outcome.status.value,
        "effects": session.effects.value,
        "control": rooms.control.model_dump_json(),
        "timings": timings(),
        "next": "collect",
    }


def _program(rooms: Rooms, code: str, number: int) -> Program:
    return Program(
        code=code,
        inputs=dict(rooms.folder.inputs()),
        context=rooms.request.capability_context_data,
        folder=rooms.folder.execution_folder(number),
    )


def _broken(error: EngineError | EngineUnavailableError, session: ControlSession, rooms: Rooms, code: str) -> Outcome:
    """Return the outcome of a run whose engine broke: infrastructure, and no word about the code."""
    unknown = session.effects is MachineEffects.UNKNOWN
    return Outcome(
        status=RunStatus.OUTCOME_UNKNOWN if unknown else RunStatus.FAILED,
        error=ErrorReport(
            stage=Stage.EXECUTION, type=type(error).__name__, message=str(error), category=error.category, code=code
        ),
        partial=True,
        isolation=rooms.engine.isolation,
    )


async def _changed_since(card: ApprovalCard, rooms: Rooms, state: State) -> ErrorReport | None:
    """Return the report of a refusal if anything that the approval binds is not as it was."""
    report = AnalysisReport.model_validate_json(state.get("report", "{}"))
    now = await card_of(
        rooms,
        code=state.get("code", ""),
        report=report,
        attempt=card.attempt,
        written_by=card.generator,
        reason=card.reason,
    )
    if now.digest == card.digest:
        return None
    return ErrorReport(
        stage=Stage.APPROVAL,
        type="WriteRefused",
        message=f"what was approved is not what would run: {_difference(card, now)} changed since the card was shown; "
        "run it anew and look at the new card",
        category=ErrorCategory.WORKFLOW,
        code=state.get("code"),
    )


def _difference(before: ApprovalCard, now: ApprovalCard) -> str:
    if before.control_system.limits != now.control_system.limits:
        return "the limits database"
    for name in ("inputs", "code", "isolation", "control_system", "writes"):
        if getattr(before, name) != getattr(now, name):
            return f"the {name.replace('_', ' ')}"
    return "the interpreter, its packages, the limits, the context or the approval mode"


def _tell(event: EngineEvent, rooms: Rooms, figures: LiveFigures) -> None:
    if isinstance(event, FigureDrawn):
        figures.take(event)
    elif isinstance(event, OutputChunk):
        rooms.emit(Output(run_id=rooms.run_id, stream=event.stream, text=event.text))
    else:
        rooms.emit(Progress(run_id=rooms.run_id, fraction=event.fraction, message=event.message))
