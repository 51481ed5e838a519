"""A task becomes code."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from langgraph.runtime import Runtime

from osprey_executor.errors import CodeGenerationError, ErrorCategory, PythonExecutorException
from osprey_executor.generation import Meter, metered
from osprey_executor.models import Assignment, ErrorReport, Generation, Recalled, Stage
from osprey_executor.models.events import CodeGenerated, StageStarted
from osprey_executor.pipeline.environment import environment_of
from osprey_executor.pipeline.remembering import recall
from osprey_executor.pipeline.repair import error_chain, failures
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed

_LONGEST_MESSAGE = 2000


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
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.GENERATION, attempt=attempt))
    with timed(state, "generation") as timings:
        if rooms.request.code is not None:
            code, written_by = rooms.request.code, "user"
        else:
            written_by = rooms.generator_label
            meter = _meter(state, rooms)
            recalled, told = await recall(state, rooms)
            world |= told
            try:
                code = await _asked(state, rooms, meter, recalled)
            except PythonExecutorException as error:
                code = _report(error, error.category, rooms)
            except Exception as error:  # a plug-in may raise anything; its bug must not take the service down
                code = _report(error, ErrorCategory.WORKFLOW, rooms)
            if meter.exchanges:
                clean = rooms.config.without_secrets
                kept = [(clean(prompt), clean(answer)) for prompt, answer in meter.exchanges]
                await rooms.in_thread(rooms.folder.attempt(attempt).save_exchanges, kept)
            before = state.get("generations", {})
            world["generations"] = {**before, str(attempt): meter.generation.model_dump_json()}
        if isinstance(code, ErrorReport):
            return after_failure({**state, **world}, rooms, code) | world | {"timings": timings()}
    rooms.emit(CodeGenerated(run_id=rooms.run_id, code=code, attempt=attempt))
    return world | {"code": code, "written_by": written_by, "timings": timings(), "next": "analyse"}


def _meter(state: State, rooms: Rooms) -> Meter:
    spent = Generation.total(Generation.model_validate_json(text) for text in state.get("generations", {}).values())
    execution = rooms.config.execution
    return Meter(execution.generation_budget, spent, keep_prompts=execution.save_prompts)


async def _asked(state: State, rooms: Rooms, meter: Meter, recalled: Recalled) -> str:
    """Return the next program of the generator.

    Raises:
        BudgetExceededError: what the request may take is spent.
        CodeGenerationError: it gave no code.
    """
    meter.check()
    reports = failures(state)
    asked = Assignment.of(
        rooms.request,
        environment=await environment_of(rooms.engine),
        recalled=recalled,
        failures=len(reports),
    )
    chain = error_chain(reports, rooms.config.execution.repairs_before_fresh)
    code = await _in_time(rooms, meter, lambda: rooms.generator().generate_code(asked, chain))
    if not isinstance(code, str) or not code.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CodeGenerationError(f"{rooms.generator_label} gave no code but {code!r:.100}")
    try:
        code.encode()
    except UnicodeEncodeError as error:
        raise CodeGenerationError(
            f"{rooms.generator_label} gave code that is no text: it holds half of a character, {code[error.start]!a}; "
            "write such a character as an escape"
        ) from None
    return code


async def _in_time(rooms: Rooms, meter: Meter, write: Callable[[], Awaitable[str]]) -> str:
    """Return what the generator gives within the time of the request; a plug-in may do anything meanwhile.

    Raises:
        BudgetExceededError: the time is over, even if the generator did not heed it.
        CodeGenerationError: the generator ended itself, or raised what cannot be shown.
    """
    left, task = meter.seconds_left, asyncio.current_task()
    cancels = task.cancelling() if task else 0
    time = asyncio.timeout(None if math.isinf(left) else left)
    try:
        async with time:
            try:
                with metered(meter):
                    code = await write()
            except (asyncio.CancelledError, SystemExit) as error:
                if isinstance(error, asyncio.CancelledError) and task and task.cancelling() > cancels:
                    raise
                raise CodeGenerationError(f"{rooms.generator_label} ended itself with {type(error).__name__}") from None
    except Exception as error:
        if time.expired():
            raise meter.out_of_time() from None
        try:
            str(error)
        except Exception:
            kind = type(error).__name__
            raise CodeGenerationError(f"{rooms.generator_label} raised {kind}, which cannot be shown") from None
        raise
    if time.expired():
        raise meter.out_of_time()
    if task and task.cancelling() > cancels:
        # The generator swallowed the cancel of the run.
        raise asyncio.CancelledError
    return code


def _report(error: Exception, category: ErrorCategory, rooms: Rooms) -> ErrorReport:
    """Return the report of a failure. A plug-in's own words may hold its key, and be of any length."""
    message = rooms.config.without_secrets(str(error)) or "no message"
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    message = message.encode(errors="backslashreplace").decode()
    return ErrorReport(stage=Stage.GENERATION, type=type(error).__name__, message=message, category=category)
