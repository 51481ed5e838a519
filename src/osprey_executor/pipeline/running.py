"""A program in the engine, for a rehearsal as for an approved run: what it is given, what it tells on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from osprey_executor.errors import EngineError, EngineUnavailableError
from osprey_executor.execution import EngineEvent, FigureDrawn, OutputChunk
from osprey_executor.models import ControlSession, ErrorReport, MachineEffects, Outcome, Program, RunStatus, Stage
from osprey_executor.models.events import Output, Progress, Queued
from osprey_executor.pipeline.figures import LiveFigures, live_figures
from osprey_executor.pipeline.record import with_notes
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import with_time


async def in_turn(state: State, rooms: Rooms, run: Callable[[State, Rooms], Awaitable[State]]) -> State:
    """Do `run` when the program's turn at the engine comes; the wait for it is told, and counted apart."""
    queued = Queued(run_id=rooms.run_id, attempt=state.get("attempt", 1))
    async with rooms.turns.turn(lambda: rooms.emit(queued)) as waited:
        return await run(with_time(state, "waiting", waited), rooms)


def program_of(rooms: Rooms, code: str, number: int) -> Program:
    """Return the program of execution `number` with all that it finds in its world. Blocks while it makes a folder."""
    return Program(
        code=code,
        inputs=dict(rooms.folder.inputs()),
        context=rooms.request.capability_context_data,
        folder=rooms.folder.execution_folder(number),
    )


async def run_program(
    rooms: Rooms, program: Program, session: ControlSession, pretended: Callable[[], bool] = lambda: False
) -> Outcome:
    """Run the program to its end. An engine that breaks is in the outcome, too.

    Args:
        rooms: of the run.
        program: with all that it finds in its world.
        session: the broker's side of it.
        pretended: see `LiveFigures`.
    """
    try:
        async with live_figures(rooms, pretended) as figures:
            outcome = await rooms.engine.run(
                program, control=session, on_event=lambda event: _tell(event, rooms, figures)
            )
    except (EngineError, EngineUnavailableError) as error:
        outcome = _broken(error, session, rooms, str(program.code))
    return with_notes(outcome, session)


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


def _tell(event: EngineEvent, rooms: Rooms, figures: LiveFigures) -> None:
    if isinstance(event, FigureDrawn):
        figures.take(event)
    elif isinstance(event, OutputChunk):
        rooms.emit(Output(run_id=rooms.run_id, stream=event.stream, text=event.text))
    else:
        rooms.emit(Progress(run_id=rooms.run_id, fraction=event.fraction, message=event.message))
