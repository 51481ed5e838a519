"""A task becomes code."""

from __future__ import annotations

from langgraph.runtime import Runtime

from osprey_executor.errors import ErrorCategory, PythonExecutorException
from osprey_executor.models import ErrorReport, Stage
from osprey_executor.models.events import CodeGenerated, StageStarted
from osprey_executor.pipeline.environment import with_environment
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed


async def generate(state: State, runtime: Runtime[Rooms]) -> State:
    """Get the next program from the generator, or take the one that came with the request."""
    rooms = runtime.context
    attempt = state.get("attempt", 0) + 1
    world: State = {
        "isolation": rooms.engine.isolation.model_dump_json(),
        "control": rooms.broker.report.model_dump_json(),
        "attempt": attempt,
        "outcome_status": "",
    }
    begun: State = {**state, **world}
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.GENERATION, attempt=attempt))
    with timed(state, "generation") as timings:
        if rooms.request.code is not None:
            code, written_by = rooms.request.code, "user"
        else:
            written_by = rooms.generator_label
            try:
                asked = await with_environment(rooms.request, rooms.engine)
                code = await rooms.generator().generate_code(asked, list(state.get("error_chain", [])))
            except PythonExecutorException as error:
                report = _report(error, error.category)
                return after_failure(begun, rooms, report) | world | {"timings": timings()}
            except Exception as error:  # a plug-in may raise anything; its bug must not take the service down
                report = _report(error, ErrorCategory.WORKFLOW)
                return after_failure(begun, rooms, report) | world | {"timings": timings()}
        if not isinstance(code, str) or not code.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            report = ErrorReport(
                stage=Stage.GENERATION,
                type="CodeGenerationError",
                message=f"{written_by} gave no code but {code!r:.100}",
            )
            return after_failure(begun, rooms, report) | world | {"timings": timings()}
    rooms.emit(CodeGenerated(run_id=rooms.run_id, code=code, attempt=attempt))
    return world | {"code": code, "written_by": written_by, "timings": timings(), "next": "analyse"}


def _report(error: Exception, category: ErrorCategory) -> ErrorReport:
    message = str(error) or "no message"
    return ErrorReport(stage=Stage.GENERATION, type=type(error).__name__, message=message, category=category)
