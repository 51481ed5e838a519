"""Code is analysed, and the policy says whether a person must be asked."""

from __future__ import annotations

import sys

from langgraph.runtime import Runtime

from osprey_executor.analysis import Gates, analyze
from osprey_executor.approval import must_ask, named_channels
from osprey_executor.execution import KnowsModules
from osprey_executor.models import AnalysisReport, ErrorReport, RunStatus, Severity, Stage, Verdict
from osprey_executor.models.events import Analysed, ApprovalRequested, StageStarted
from osprey_executor.pipeline.binding import card_of, situation_of
from osprey_executor.pipeline.retry import after_failure, denied_report, first_step
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed
from osprey_executor.text import one_line, source_lines

_MOST_TOLD = 10


async def analyse(state: State, runtime: Runtime[Rooms]) -> State:
    """Analyse the program, keep it in the run folder, and lay out the card where a person must be asked."""
    rooms, code, attempt = runtime.context, state.get("code", ""), state.get("attempt", 1)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.ANALYSIS, attempt=attempt))
    with timed(state, "analysis") as timings:
        report = await rooms.in_thread(_analysed, rooms, code, attempt)
        await rooms.look_at_limits()
        rooms.emit(Analysed(run_id=rooms.run_id, report=report, attempt=attempt))
        analysed: State = {
            "report": report.model_dump_json(),
            "control": rooms.control.model_dump_json(),
            "card": "",
            "approver": "",
            "proof": "",
            "chosen": "",
            "allowed": "",
            "outcome_status": "",
            "timings": timings(),
        }
        if broken := _syntax_error(report, code):
            return after_failure(state, rooms, broken) | analysed
        if report.verdict is not Verdict.DENY and (flawed := _flawed(rooms, report, code)):
            return after_failure(state, rooms, flawed) | analysed
        asking = must_ask(rooms.config, report, situation_of(rooms, report, named_channels(report)))
        if asking.denied:
            denied = denied_report(asking, Stage.ANALYSIS, code)
            return after_failure(state, rooms, denied, status=RunStatus.REFUSED) | analysed
        if not asking.ask:
            return analysed | {"next": first_step(rooms)}
        written_by = state.get("written_by", "")
        card = await card_of(rooms, code=code, report=report, attempt=attempt, written_by=written_by, asking=asking)
        if card.standing and (yes := await rooms.store.remembered(card.standing)) and rooms.approvers.stands(yes):
            until = f"{yes.until:%Y-%m-%d %H:%M} UTC"
            told = f"started without asking: {one_line(yes.by)} approved this program until {until} (run {yes.run_id})"
            return analysed | {
                "approver": yes.by,
                "proof": yes.proof,
                "notes": [*state.get("notes", []), told],
                "next": first_step(rooms),
            }
        card = await rooms.store.add_card(card)
    rooms.emit(ApprovalRequested(run_id=rooms.run_id, card=card))
    return analysed | {"card": card.model_dump_json(), "timings": timings(), "next": "approve"}


def _analysed(rooms: Rooms, code: str, attempt: int) -> AnalysisReport:
    report = analyze(code, site=rooms.site, gates=_gates(rooms))
    rooms.folder.attempt(attempt).save_code(code, report)
    return report


def _gates(rooms: Rooms) -> Gates | None:
    if not rooms.config.analysis.quality:
        return None
    modules = rooms.engine.modules() if isinstance(rooms.engine, KnowsModules) else None
    return Gates(expected=tuple(rooms.request.expected_results), modules=modules, standard=sys.stdlib_module_names)


def _flawed(rooms: Rooms, report: AnalysisReport, code: str) -> ErrorReport | None:
    """Return what sends a generated program back; a person's own program runs as it is, its flaws only told."""
    flaws = [one for one in report.flaws if one.severity is Severity.ERROR]
    if not flaws or rooms.request.code is not None:
        return None
    lines = source_lines(code)
    told = "; ".join(f"line {one.line}: {one.message}" for one in flaws[:_MOST_TOLD])
    more = f"; and {len(flaws) - _MOST_TOLD} more" if len(flaws) > _MOST_TOLD else ""
    line = flaws[0].line
    return ErrorReport(
        stage=Stage.ANALYSIS,
        type="CodeQualityError",
        message=told + more,
        line=line,
        source_line=lines[line - 1] if 0 < line <= len(lines) else None,
        code=code,
    )


def _syntax_error(report: AnalysisReport, code: str) -> ErrorReport | None:
    for finding in report.findings:
        if finding.rule == "syntax/error" and finding.severity is Severity.ERROR:
            lines = source_lines(code)
            return ErrorReport(
                stage=Stage.ANALYSIS,
                type="CodeSyntaxError",
                message=finding.message,
                line=finding.line,
                source_line=lines[finding.line - 1] if 0 < finding.line <= len(lines) else None,
                code=code,
            )
    return None
