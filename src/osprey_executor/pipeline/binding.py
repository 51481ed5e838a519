"""Gathers what an approval binds, as it is at this moment: built once for the card, once more before the run."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from osprey_executor.approval import Asking, Situation, bound_by_policy, build_card
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
    asking: Asking,
    plan: Plan | None = None,
    output: str = "",
    figures: tuple[Path, ...] = (),
) -> ApprovalCard:
    """Return the card of the program at hand; after its rehearsal with the plan, the output and the figures of that.

    Raises:
        StorageError: an input cannot be read.
    """
    card = build_card(
        run_id=rooms.run_id,
        request=rooms.request,
        code=code,
        report=report,
        reason=asking.reason,
        isolation=rooms.engine.isolation,
        control=rooms.control,
        channel_limits=_limits_of(rooms, report),
        engine_identity=await rooms.engine.identity(),
        limits=rooms.config.execution.limits,
        inputs=await rooms.in_thread(_input_digests, rooms),
        generator=written_by,
        now=datetime.now(UTC),
        expiry=rooms.config.approval.expiry if asking.expiry is None else asking.expiry,
        persons=asking.persons,
        policy=bound_by_policy(rooms.config.approval, asking.persons),
        remember=rooms.config.approval.remember,
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
    return card.model_copy(update={"approval": rooms.approvers.words(rooms.control)})


def situation_of(rooms: Rooms, report: AnalysisReport, channels: tuple[str, ...]) -> Situation:
    """Return what the rules of the site look at, as it is at this moment."""
    requester = rooms.request.requester
    return Situation(
        effects=report.effects,
        channels=channels,
        isolation=rooms.engine.isolation,
        control=rooms.control,
        requester=requester,
        roles=rooms.approvers.roles_of(requester),
        now=datetime.now(UTC),
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
        asking=Asking(ask=True, denied=False, reason=card.reason, persons=card.persons),
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
