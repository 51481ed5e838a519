"""The plan of a rehearsal is laid out on a card, where a rule of the site does not decide.

Done again after a crash, it is the same card.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from osprey_executor.approval import must_ask_to_write
from osprey_executor.models import AnalysisReport, RunStatus, Stage
from osprey_executor.models.events import ApprovalRequested
from osprey_executor.pipeline.binding import card_of, situation_of
from osprey_executor.pipeline.retry import after_failure, denied_report
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State


async def ask(state: State, runtime: Runtime[Rooms]) -> State:
    """Lay out the card of the rehearsal that has ended, as its folder tells it, unless a rule of the site decides."""
    rooms, attempt = runtime.context, state.get("attempt", 1)
    rehearsal = rooms.folder.attempt(attempt).rehearsal
    plan = await rooms.in_thread(rehearsal.plan)
    outcome = await rooms.in_thread(rehearsal.outcome) if rehearsal.has_outcome else None
    if rooms.limits is None:
        await rooms.look_at_limits()
    code, report = state.get("code", ""), AnalysisReport.model_validate_json(state.get("report", "{}"))
    channels = tuple(dict.fromkeys(write.channel for write in plan.writes))
    asking = must_ask_to_write(rooms.config, situation_of(rooms, report, channels))
    if asking.denied:
        denied = denied_report(asking, Stage.APPROVAL, code)
        return after_failure(state, rooms, denied, status=RunStatus.REFUSED) | {"card": ""}
    if not asking.ask:
        told = f"its writes were allowed without asking: {asking.reason}"
        return {"card": "", "allowed": asking.reason, "notes": [*state.get("notes", []), told], "next": "execute"}
    card = await card_of(
        rooms,
        code=code,
        report=report,
        attempt=attempt,
        written_by=state.get("written_by", ""),
        asking=asking,
        plan=plan,
        output=outcome.stdout if outcome else "",
        figures=outcome.figures if outcome else (),
    )
    card = await rooms.store.add_card(card)
    rooms.emit(ApprovalRequested(run_id=rooms.run_id, card=card))
    return {"card": card.model_dump_json(), "next": "approve"}
