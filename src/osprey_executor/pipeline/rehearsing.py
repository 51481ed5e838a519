"""A rehearsal by itself: any existing program, no run, nobody asked, nothing touched."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from osprey_executor.analysis import analyze
from osprey_executor.config import Config
from osprey_executor.errors import CodeSyntaxError, EngineUnavailableError, InvalidRequestError, PolicyDeniedError
from osprey_executor.models import Program, PythonExecutionRequest, Rehearsal, Verdict
from osprey_executor.pipeline.equipment import Equipment
from osprey_executor.pipeline.nodes.rehearse import marked, plan_of
from osprey_executor.pipeline.record import with_notes
from osprey_executor.pipeline.threads import InThread
from osprey_executor.pipeline.time_limit import TimeLimit
from osprey_executor.results import rehearsal_folder
from osprey_executor.text import one_line, source_lines


async def rehearse_alone(
    home: Path, equipment: Equipment, config: Config, request: PythonExecutionRequest, in_thread: InThread
) -> Rehearsal:
    """Rehearse the program of `request`; see `PythonExecutorService.rehearse`."""
    engine, broker, code = equipment.engine, equipment.broker, request.code
    if code is None:
        raise InvalidRequestError("there is nothing to rehearse: give a program (osprey-executor rehearse SCRIPT.py)")
    report = await in_thread(lambda: analyze(code, site=equipment.site))
    if report.verdict is Verdict.DENY:
        raise PolicyDeniedError(report.reason or "the site's policy denies this code")
    if broken := next((one for one in report.findings if one.rule == "syntax/error"), None):
        lines = source_lines(code)
        text = f": {one_line(lines[broken.line - 1].strip(), 200)}" if 0 < broken.line <= len(lines) else ""
        raise CodeSyntaxError(f"it does not parse: line {broken.line}: {broken.message}{text}")
    if broker.report.real and not engine.isolation.proven:
        raise EngineUnavailableError(
            f"the containment of this engine is not proven ({engine.isolation}), so a rehearsal next to a real machine "
            "might touch it: use execution.isolation: full with an empty execution.network, or a simulator"
        )
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = await in_thread(rehearsal_folder, home, name)
    limits = await in_thread(broker.limits)
    limit = TimeLimit(config.approval.rehearsal_timeout)
    program = Program(
        code=code,
        inputs=dict(request.inputs),
        context=request.capability_context_data,
        folder=folder.path / "work",
    )
    async with broker.rehearsal(
        run_id=name, journal=folder.path / "journal.jsonl", limits=limits, on_write=limit.begin
    ) as session:
        outcome = await limit.keep(engine.run(program, control=session))
        plan = await plan_of(session, outcome, limit)
    if outcome is not None:
        told = with_notes(outcome, session)
        if plan.writes:
            told = await marked(told, in_thread)
        outcome = await in_thread(
            lambda: folder.save_outcome(told, root=program.folder, reads=session.reads, refusals=session.refusals)
        )
    await in_thread(folder.save_plan, plan)
    return Rehearsal(
        plan=plan,
        outcome=outcome,
        folder=folder.path,
        control_system=broker.report,
        isolation=outcome.isolation if outcome else engine.isolation,
    )
