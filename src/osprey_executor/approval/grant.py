"""A grant: a signed yes to exactly one digest, for one run, until it expires."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

from osprey_executor.approval.digest import canonical, digest_of
from osprey_executor.approval.envelope import envelope_digest
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ApprovalCard, Grant, Plan
from osprey_executor.text import one_line


def issue_grant(card: ApprovalCard, *, chosen: str, approver: str, proof: str = "", key: bytes, now: datetime) -> Grant:
    """Return the signed grant that an approval of `card` gives.

    Args:
        card: what the person saw.
        chosen: the digest that they approved: of the card, and so of its plan, or of the envelope on it.
        approver: who that was.
        proof: how that is known.
        key: signs the grant.
        now: when it is given.

    Raises:
        WriteRefused: the card has expired, shows no plan, or the digest is neither of the two.
    """
    if now >= card.expires_at:
        raise WriteRefused(f"the card of run {card.run_id} expired at {_when(card.expires_at)}: ask again")
    if card.plan is None:
        raise WriteRefused(
            f"the card of run {card.run_id} shows no plan: it lets the program start, and grants no write"
        )
    envelope = card.envelope if card.envelope is not None and chosen == card.envelope.digest else None
    if envelope is None and chosen != card.digest:
        raise WriteRefused(f"run {card.run_id} was approved with another digest than its card's")
    if envelope is not None and envelope_digest(envelope, card.digest) != chosen:
        raise WriteRefused(f"the envelope on the card of run {card.run_id} was changed since it was drawn up")
    grant = Grant(
        run_id=card.run_id,
        digest=card.digest,
        plan=plan_digest(card.plan),
        envelope=envelope,
        approver=approver,
        proof=proof,
        issued_at=now,
        expires_at=card.expires_at,
    )
    return grant.model_copy(update={"signature": _signature(grant, key)})


def verify_grant(grant: Grant, *, key: bytes, run_id: str, digest: str, now: datetime) -> None:
    """Return if `grant` is a valid yes to `digest` for this run.

    Raises:
        WriteRefused: it is not; the message says why.
    """
    signature = grant.signature.encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(_signature(grant, key).encode(), signature):
        raise WriteRefused("the grant's signature does not fit: it was not given here, or was changed since")
    if grant.run_id != run_id:
        raise WriteRefused(f"the grant is for run {one_line(grant.run_id)}, not for run {one_line(run_id)}")
    if grant.digest != digest:
        raise WriteRefused("the grant is for another digest: what would run is not what was approved")
    if now >= grant.expires_at:
        raise WriteRefused(f"the grant expired at {_when(grant.expires_at)}: ask again")


def plan_digest(plan: Plan) -> str:
    """Return the digest of what an approval of a plan binds: the writes in order, and the channels as they were."""
    return digest_of(bound_by_plan(plan))


def bound_by_plan(plan: Plan) -> dict[str, object]:
    """Return what an approval of a plan binds."""
    return {
        "writes": [
            (write.channel, write.value, write.tolerance, *(("command",) if write.command else ()))
            for write in plan.writes
        ],
        "start": {name: (start.value, start.tolerance) for name, start in plan.start.items()},
        "declared": dict(plan.declared),
    }


def _signature(grant: Grant, key: bytes) -> str:
    signed = {
        "run_id": grant.run_id,
        "digest": grant.digest,
        "plan": grant.plan,
        "envelope": grant.envelope.model_dump() if grant.envelope else None,
        "approver": grant.approver,
        "proof": grant.proof,
        "issued_at": _when(grant.issued_at),
        "expires_at": _when(grant.expires_at),
    }
    return hmac.new(key, canonical(signed), hashlib.sha256).hexdigest()


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
