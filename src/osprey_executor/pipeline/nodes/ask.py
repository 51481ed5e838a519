"""The plan of a rehearsal is laid out on a card. Done again after a crash, it is the same card."""

from __future__ import annotations

from langgraph.runtime import Runtime

from osprey_executor.models import AnalysisReport
from osprey_executor.models.events import ApprovalRequested
from osprey_executor.pipeline.binding import card_of
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State

_WHY = "it tries to write: this is what its rehearsal would have written, and nothing of it reached the machine"


async def ask(state: State, runtime: Runtime[Rooms]) -> State:
    """Lay out the card of the rehearsal that has ended, as its folder tells it."""
    rooms, attempt = runtime.context, state.get("attempt", 1)
    rehearsal = rooms.folder.attempt(attempt).rehearsal
    plan = await rooms.in_thread(rehearsal.plan)
    outcome = await rooms.in_thread(rehearsal.outcome) if rehearsal.has_outcome else None
    if rooms.limits is None:
        await rooms.look_at_limits()
    card = await card_of(
        rooms,
        code=state.get("code", ""),
        report=AnalysisReport.model_validate_json(state.get("report", "{}")),
        attempt=attempt,
        written_by=state.get("written_by", ""),
        reason=_WHY,
        plan=plan,
        output=outcome.stdout if outcome else "",
        figures=outcome.figures if outcome else (),
    )
    card = await rooms.store.add_card(card)
    rooms.emit(ApprovalRequested(run_id=rooms.run_id, card=card))
    return {"card": card.model_dump_json(), "next": "approve"}
