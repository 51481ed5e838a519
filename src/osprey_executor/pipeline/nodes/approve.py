"""A person decides. Nothing with effects stands before the interrupt: on resume the node begins at its top."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from osprey_executor.errors import ErrorCategory, InvalidDecision
from osprey_executor.models import ApprovalCard, Approve, Edit, ErrorReport, RunStatus, Stage
from osprey_executor.pipeline.retry import after_failure, first_step
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State


async def approve(state: State, runtime: Runtime[Rooms]) -> State:
    """Wait for the decision on the card. What resumes the graph only wakes it: the recorded decision is what counts."""
    interrupt(json.loads(state.get("card", "{}")))
    rooms = runtime.context
    card = ApprovalCard.model_validate_json(state.get("card", ""))
    decided = await rooms.store.decided(rooms.run_id)
    if decided is None:
        raise InvalidDecision(f"run {rooms.run_id} was resumed without a recorded decision")
    waited = (datetime.now(UTC) - card.created_at).total_seconds()
    before = state.get("timings", {})
    told: State = {
        "approver": decided.by,
        "proof": decided.proof,
        "timings": {**before, "waiting": before.get("waiting", 0.0) + max(waited, 0.0)},
    }
    decision = decided.decision
    if isinstance(decision, Approve):
        if decision.digest not in card.digests:
            raise InvalidDecision(f"run {rooms.run_id} was approved with another digest than its card's")
        return told | {"chosen": decision.digest, "next": "execute" if card.plan else first_step(rooms)}
    if isinstance(decision, Edit):
        return told | {
            "code": decision.code,
            "written_by": f"{decided.by} (edited)",
            "attempt": state.get("attempt", 1) + 1,
            "next": "analyse",
        }
    rejected = ErrorReport(
        stage=Stage.APPROVAL,
        type="ExecutionRejectedError",
        message=f"rejected by {decided.by}: {decision.reason or 'no reason given'}",
        category=ErrorCategory.CODE_RELATED if decision.regenerate else ErrorCategory.WORKFLOW,
        code=card.code,
    )
    update = after_failure(state, rooms, rejected)
    return told | update | ({"status": RunStatus.REJECTED.value} if update.get("status") else {})
