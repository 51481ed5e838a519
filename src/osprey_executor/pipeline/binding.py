"""Gathers what an approval binds, as it is at this moment: built once for the card, once more before the run."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from osprey_executor.approval import build_card
from osprey_executor.control import group_limits, limits_words, restorable, stop_actions
from osprey_executor.errors import ErrorCategory
from osprey_executor.models import AnalysisReport, ApprovalCard, ErrorReport, Plan, Stage
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.results import encode

_ON_FAILURE = {
    "ask": "After a failure, a run that would bring its channels back is laid before you (on_failure: ask)",
    "restore": "After a failure, its restorable channels are brought back AT ONCE, under this approval "
    "(on_failure: restore)",
}


async def card_of(
    rooms: Rooms,
    *,
    code: str,
    report: AnalysisReport,
    attempt: int,
    written_by: str,
    reason: str,
    plan: Plan | None = None,
    output: str = "",
    figures: tuple[Path, ...] = (),
) -> ApprovalCard:
    """Return the card of the program at hand; after its rehearsal with the plan, the output and the figures of that.

    Raises:
        StorageError: an input cannot be read.
    """
    return build_card(
        run_id=rooms.run_id,
        request=rooms.request,
        code=code,
        report=report,
        reason=reason,
        isolation=rooms.engine.isolation,
        control=rooms.control,
        channel_limits=_limits_of(rooms, report),
        engine_identity=await rooms.engine.identity(),
        limits=rooms.config.execution.limits,
        inputs=await rooms.in_thread(_input_digests, rooms),
        generator=written_by,
        now=datetime.now(UTC),
        expiry=rooms.config.approval.expiry,
        attempt=attempt,
        plan=plan,
        rules=_rules(rooms, plan) if plan else (),
        output=output,
        figures=figures,
        bound={
            "run_id": rooms.run_id,
            "context": _context_digest(rooms),
            "approval_mode": rooms.config.approval.mode,
        },
    )


async def changed_since(card: ApprovalCard, rooms: Rooms, state: State) -> ErrorReport | None:
    """Return the report of a refusal if anything that the approval of `card` binds is not as it was."""
    report = AnalysisReport.model_validate_json(state.get("report", "{}"))
    now = await card_of(
        rooms,
        code=state.get("code", ""),
        report=report,
        attempt=card.attempt,
        written_by=card.generator,
        reason=card.reason,
        plan=card.plan,
    )
    if now.digest == card.digest:
        return None
    return ErrorReport(
        stage=Stage.APPROVAL,
        type="WriteRefused",
        message=f"what was approved is not what would run: {_difference(card, now)} changed since the card was shown; "
        "run it anew and look at the new card",
        category=ErrorCategory.WORKFLOW,
        code=state.get("code"),
    )


def _difference(before: ApprovalCard, now: ApprovalCard) -> str:
    if before.control_system.limits != now.control_system.limits:
        return "the limits database"
    for name in ("inputs", "code", "isolation", "control_system", "writes"):
        if getattr(before, name) != getattr(now, name):
            return f"the {name.replace('_', ' ')}"
    return "the interpreter, its packages, the limits, the context or the approval mode"


def _rules(rooms: Rooms, plan: Plan) -> tuple[str, ...]:
    policy = rooms.config.control_system.on_failure
    after = () if policy == "keep" else (_ON_FAILURE[policy],)
    channels = list(dict.fromkeys((*(write.channel for write in plan.writes), *plan.declared)))
    stops = stop_actions(rooms.limits, channels)
    if rooms.config.control_system.abort_when and not stops:
        stops = ("None of these channels has a stop action: an abort leaves them where they are then",)
    if after and not restorable(rooms.limits, channels, simulated=not rooms.broker.report.real):
        after = (*after, "None of these channels is restorable: nothing would be brought back")
    return (*rooms.broker.rules, *group_limits(rooms.limits, channels), *stops, *after)


def _limits_of(rooms: Rooms, report: AnalysisReport) -> dict[str, str]:
    limits = rooms.limits
    if limits is None:
        return {}
    return {target.channel: limits_words(limits, target.channel) for target in report.writes if target.channel}


def _input_digests(rooms: Rooms) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name, path in rooms.folder.inputs().items():
        with path.open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _context_digest(rooms: Rooms) -> str:
    document, blobs = encode(rooms.request.capability_context_data)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode())
    for blob in blobs:
        digest.update(len(blob).to_bytes(8, "big") + blob)
    return digest.hexdigest()
