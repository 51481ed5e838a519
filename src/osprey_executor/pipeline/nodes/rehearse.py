"""A program's first run: reads are answered, writes are kept from the machine. Without a write it was the run."""

from __future__ import annotations

import threading

from langgraph.runtime import Runtime

from osprey_executor.control import RehearsalSession
from osprey_executor.errors import ControlSystemError, ErrorCategory
from osprey_executor.models import (
    ApprovalCard,
    ErrorReport,
    MachineEffects,
    Outcome,
    Plan,
    RunStatus,
    Stage,
)
from osprey_executor.models.events import StageStarted
from osprey_executor.pipeline.binding import changed_since
from osprey_executor.pipeline.judge import unmet_results
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.running import in_turn, program_of, run_program
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.threads import InThread
from osprey_executor.pipeline.time_limit import TimeLimit
from osprey_executor.pipeline.timing import timed
from osprey_executor.results import marked_rehearsal


async def rehearse(state: State, runtime: Runtime[Rooms]) -> State:
    """Run the program against the overlay when its turn comes. Nothing of it is a result if it tried to write."""
    return await in_turn(state, runtime.context, _rehearse)


async def _rehearse(state: State, rooms: Rooms) -> State:
    attempt, number = state.get("attempt", 1), state.get("execution", 0) + 1
    shown = state.get("card")
    started = ApprovalCard.model_validate_json(shown) if shown else None
    await rooms.look_at_limits()
    if started and (changed := await changed_since(started, rooms, state)):
        return after_failure(state, rooms, changed, status=RunStatus.REFUSED)
    digest = started.digest if started else None
    await rooms.store.begin_execution(rooms.run_id, number, may_write=False, digest=digest)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.REHEARSAL, attempt=attempt))
    program = await rooms.in_thread(program_of, rooms, state.get("code", ""), number)
    with timed(state, "rehearsal") as rehearsed, timed(state, "execution") as executed:
        limit = TimeLimit(rooms.config.approval.rehearsal_timeout)
        try:
            async with rooms.broker.rehearsal(
                run_id=rooms.run_id,
                journal=rooms.folder.rehearsal_journal(number),
                limits=rooms.limits,
                on_write=limit.begin,
            ) as session:
                rooms.session = session
                outcome = await limit.keep(run_program(rooms, program, session, lambda: session.moved))
                plan = await plan_of(session, outcome, limit)
        except ControlSystemError as error:
            await rooms.store.end_execution(rooms.run_id, number)
            return after_failure(state, rooms, _unprepared(error, state)) | {"execution": number}
        finished = outcome is not None and _finished(outcome, plan, rooms)
        if outcome is not None and finished and plan.writes:
            told = f"it failed in its rehearsal: none of its {len(plan.writes)} writes reached the machine"
            outcome = outcome.model_copy(update={"notes": (*outcome.notes, told)})
        folder = rooms.folder.attempt(attempt)
        if outcome is not None and plan.writes:
            outcome = await marked(outcome, rooms.in_thread)
        if outcome is not None:
            await rooms.in_thread(
                (folder if finished else folder.rehearsal).save_outcome,
                outcome,
                root=program.folder,
                reads=session.reads,
                refusals=session.refusals,
            )
        if not finished:
            await rooms.in_thread(folder.rehearsal.save_plan, plan)
    await rooms.store.end_execution(rooms.run_id, number)
    update: State = {
        "execution": number,
        "effects": MachineEffects.NONE.value,
        "control": rooms.control.model_dump_json(),
        "timings": executed() if finished else rehearsed(),
    }
    if finished:
        assert outcome is not None
        return update | {"outcome_status": outcome.status.value, "next": "collect"}
    return update | {"next": "ask"}


async def plan_of(session: RehearsalSession, outcome: Outcome | None, limit: TimeLimit) -> Plan:
    """Return the plan of a rehearsal that has ended; `outcome` is None where its time limit has ended it."""
    await session.look_at_declared()
    if outcome is None:
        why = f"after its first write it went on for more than {limit.seconds:g} s (approval.rehearsal_timeout)"
        return session.plan(RunStatus.TIMED_OUT, why)
    error = outcome.error
    line = f" (line {error.line})" if error and error.line else ""
    return session.plan(outcome.status, f"{error.type}: {error.message}{line}" if error else "")


async def marked(outcome: Outcome, in_thread: InThread) -> Outcome:
    """Return the outcome with its marks; see `marked_rehearsal`. Whoever cancels it waits for one picture at most."""
    ended = threading.Event()
    try:
        return await in_thread(marked_rehearsal, outcome, ended.is_set)
    finally:
        ended.set()


def _finished(outcome: Outcome, plan: Plan, rooms: Rooms) -> bool:
    """Return whether the rehearsal was the run: nothing to approve, or wrong by itself, so that nobody is troubled."""
    if not plan.writes:
        return True
    if plan.feedback_dependent or outcome.status is RunStatus.TIMED_OUT or plan.too_many:
        return False
    return outcome.status is not RunStatus.SUCCEEDED or unmet_results(rooms.request, outcome) is not None


def _unprepared(error: ControlSystemError, state: State) -> ErrorReport:
    return ErrorReport(
        stage=Stage.REHEARSAL,
        type=type(error).__name__,
        message=f"the rehearsal could not begin: {error}",
        category=ErrorCategory.INFRASTRUCTURE,
        code=state.get("code"),
    )
