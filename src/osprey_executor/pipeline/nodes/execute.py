"""Code runs: once for each approval, recorded before it starts and after it ended."""

from __future__ import annotations

from datetime import UTC, datetime

from langgraph.runtime import Runtime

from osprey_executor.approval import issue_grant
from osprey_executor.errors import ErrorCategory, MachineBusyError
from osprey_executor.models import ApprovalCard, ControlSession, ErrorReport, Outcome, RunStatus, Stage
from osprey_executor.models.events import StageStarted
from osprey_executor.pipeline.audited import tell_allowed, tell_done
from osprey_executor.pipeline.binding import changed_since
from osprey_executor.pipeline.holding import Holding, machine_busy, unsettled_writes
from osprey_executor.pipeline.permit import permit_for
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.running import in_turn, program_of, run_program
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed
from osprey_executor.text import source_lines

_HALTED = {"conflict": "WriteConflictError", "aborted": "RunAbortedError"}


async def execute(state: State, runtime: Runtime[Rooms]) -> State:
    """Run the program in the engine when its turn comes, under the grant of its approval if it has one."""
    return await in_turn(state, runtime.context, _execute)


async def _execute(state: State, rooms: Rooms) -> State:
    code, attempt = state.get("code", ""), state.get("attempt", 1)
    shown = state.get("card")
    card = ApprovalCard.model_validate_json(shown) if shown else None
    await rooms.look_at_limits()
    if card and (changed := await changed_since(card, rooms, state)):
        return after_failure(state, rooms, changed, status=RunStatus.REFUSED)
    grant = None
    if card and card.plan:
        approved = {name: str(state.get(name, "")) for name in ("chosen", "approver", "proof")}
        grant = issue_grant(card, **approved, key=rooms.key, now=datetime.now(UTC))
    if grant and (unready := await rooms.broker.unready()):
        return after_failure(state, rooms, _not_ready(unready, code), status=RunStatus.REFUSED)
    permit = permit_for(rooms.config, rooms.broker.report, grant, card, rooms.key, allowed=bool(state.get("allowed")))
    number = state.get("execution", 0) + 1
    digest = card.digest if card else None
    holding = Holding(rooms, grant, card, permit)
    if permit is not None:
        await tell_allowed(rooms, grant)
    try:
        await holding.begin(number, may_write=permit is not None, digest=digest)
    except MachineBusyError as busy:
        return after_failure(state, rooms, machine_busy(busy, code), status=RunStatus.REFUSED)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.EXECUTION, attempt=attempt))
    rooms.session = session = rooms.broker.session(
        run_id=rooms.run_id, permit=permit, journal=rooms.folder.journal, held=holding.refused, limits=rooms.limits
    )
    program = await rooms.in_thread(program_of, rooms, code, number)
    with timed(state, "execution") as timings:
        async with rooms.broker.watched(session):
            outcome = await run_program(rooms, program, session)
        outcome = _halted(outcome, session, code)
        await rooms.in_thread(
            rooms.folder.attempt(attempt).save_outcome,
            outcome,
            root=program.folder,
            reads=session.reads,
            writes=session.writes,
            refusals=session.refusals,
            effects=session.effects,
        )
    unsettled = unsettled_writes(session.effects, session.writes, card)
    await rooms.store.end_execution(rooms.run_id, number, session.effects, unsettled)
    await tell_done(rooms, session)
    return {
        "execution": number,
        "outcome_status": outcome.status.value,
        "effects": session.effects.value,
        "control": rooms.control.model_dump_json(),
        "timings": timings(),
        "next": "collect",
    }


def _not_ready(unready: str, code: str) -> ErrorReport:
    return ErrorReport(
        stage=Stage.EXECUTION,
        type="WriteRefused",
        message=f"control_system.preconditions: {unready}; nothing was executed",
        category=ErrorCategory.WORKFLOW,
        code=code,
    )


def _halted(outcome: Outcome, session: ControlSession, code: str) -> Outcome:
    """Return the outcome of a run that was stopped as what it is, whatever the program made of the refusal."""
    if session.halted is None or outcome.status not in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.REFUSED):
        return outcome
    line = next((one.line for one in reversed(session.refusals) if one.line), None)
    lines = source_lines(code)
    error = ErrorReport(
        stage=Stage.EXECUTION,
        type=_HALTED.get(session.halted.partition(":")[0], "WriteRefused"),
        message=f"the run was stopped: {session.halted}",
        category=ErrorCategory.WORKFLOW,
        line=line,
        source_line=lines[line - 1] if line and line <= len(lines) else None,
        code=code,
    )
    return outcome.model_copy(update={"status": RunStatus.REFUSED, "error": error, "partial": True})
