"""Code is analysed, and the policy says whether a person must be asked."""

from __future__ import annotations

from langgraph.runtime import Runtime

from osprey_executor.analysis import analyze
from osprey_executor.approval import must_ask
from osprey_executor.errors import ErrorCategory
from osprey_executor.models import AnalysisReport, ErrorReport, RunStatus, Severity, Stage
from osprey_executor.models.events import Analysed, ApprovalRequested, StageStarted
from osprey_executor.pipeline.binding import card_of
from osprey_executor.pipeline.retry import after_failure
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.pipeline.timing import timed


async def analyse(state: State, runtime: Runtime[Rooms]) -> State:
    """Analyse the program, keep it in the run folder, and lay out the card where a person must be asked."""
    rooms, code, attempt = runtime.context, state.get("code", ""), state.get("attempt", 1)
    rooms.emit(StageStarted(run_id=rooms.run_id, stage=Stage.ANALYSIS, attempt=attempt))
    with timed(state, "analysis") as timings:
        report = await rooms.in_thread(_analysed, rooms, code, attempt)
        rooms.emit(Analysed(run_id=rooms.run_id, report=report, attempt=attempt))
        analysed: State = {
            "report": report.model_dump_json(),
            "card": "",
            "approver": "",
            "outcome_status": "",
            "timings": timings(),
        }
        if broken := _syntax_error(report, code):
            return after_failure(state, rooms, broken) | analysed
        asking = must_ask(rooms.config, report, rooms.engine.isolation, rooms.broker.report)
        if asking.denied:
            denied = ErrorReport(
                stage=Stage.ANALYSIS,
                type="PolicyDeniedError",
                message=asking.reason,
                category=ErrorCategory.WORKFLOW,
                code=code,
            )
            return after_failure(state, rooms, denied, status=RunStatus.REFUSED) | analysed
        if not asking.ask:
            return analysed | {"next": "execute"}
        written_by = state.get("written_by", "")
        card = await card_of(
            rooms, code=code, report=report, attempt=attempt, written_by=written_by, reason=asking.reason
        )
        card = await rooms.store.add_card(card)
    rooms.emit(ApprovalRequested(run_id=rooms.run_id, card=card))
    return analysed | {"card": card.model_dump_json(), "timings": timings(), "next": "approve"}


def _analysed(rooms: Rooms, code: str, attempt: int) -> AnalysisReport:
    report = analyze(code)
    rooms.folder.attempt(attempt).save_code(code, report)
    return report


def _syntax_error(report: AnalysisReport, code: str) -> ErrorReport | None:
    for finding in report.findings:
        if finding.rule == "syntax/error" and finding.severity is Severity.ERROR:
            lines = code.splitlines()
            return ErrorReport(
                stage=Stage.ANALYSIS,
                type="CodeSyntaxError",
                message=finding.message,
                line=finding.line,
                source_line=lines[finding.line - 1] if 0 < finding.line <= len(lines) else None,
                code=code,
            )
    return None
