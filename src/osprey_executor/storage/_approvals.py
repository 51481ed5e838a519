"""Cards that need more than one yes, and yeses that hold for more than one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from sqlite3 import Row

import aiosqlite

from osprey_executor.errors import AccessDeniedError, InvalidDecision
from osprey_executor.models import ApprovalCard, Approve, Proof
from osprey_executor.models.approval import Approval
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Remembered:
    """A yes to a program that starts again."""

    by: str
    proof: str
    until: datetime
    run_id: str
    """Of the run whose card was approved so."""


async def of_card(db: aiosqlite.Connection, number: int) -> tuple[Approval, ...]:
    """Return who has approved a card that waits for more."""
    rows = await db.execute_fetchall(
        "SELECT approver AS by, proof, digest, at FROM approvals WHERE card = ? ORDER BY number", (number,)
    )
    return tuple(Approval.model_validate(dict(row)) for row in rows)


async def shown(db: aiosqlite.Connection, row: Row) -> ApprovalCard:
    """Return the card of a row with `number` and `card`, with who has approved it so far."""
    card = ApprovalCard.model_validate_json(row["card"])
    return card if card.persons == 1 else card.model_copy(update={"approved_by": await of_card(db, row["number"])})


async def one_more(
    db: aiosqlite.Connection, number: int, card: ApprovalCard, decision: Approve, by: str, proof: Proof
) -> tuple[str, str] | None:
    """Count a yes within a transaction of the caller's; return all names and proofs, None as long as one is missing.

    Raises:
        InvalidDecision: they have approved it already, or the others approved something else.
        AccessDeniedError: they asked for the run.
    """
    if card.persons == 1:
        return by, proof
    if by == card.requester:
        raise AccessDeniedError(f"{one_line(by, 80)} asked for run {card.run_id}, so others must approve it")
    given = await of_card(db, number)
    for other in given:
        if other.by == by:
            raise InvalidDecision(
                f"{one_line(by, 80)} has approved run {card.run_id} already; another person must, too"
            )
        if other.digest != decision.digest:
            what = f"{_what(card, other.digest)} of run {card.run_id}"
            raise InvalidDecision(f"{one_line(other.by, 80)} approved {what}: approve that, or reject")
    if len(given) + 1 < card.persons:
        await db.execute(
            "INSERT INTO approvals (card, approver, proof, digest, at) VALUES (?, ?, ?, ?, ?)",
            (number, by, proof, decision.digest, datetime.now(UTC).isoformat()),
        )
        return None
    return " and ".join([*(one.by for one in given), by]), " and ".join([*(one.proof for one in given), proof])


async def remember(db: aiosqlite.Connection, card: ApprovalCard, decision: Approve, by: str, proof: str) -> None:
    """Keep a yes for later runs of the same program, within a transaction of the caller's.

    Raises:
        InvalidDecision: not for this card, or not for so long.
    """
    if not decision.remember:
        return
    if card.standing is None or not card.remember:
        raise InvalidDecision(
            f"an approval of run {card.run_id} cannot be remembered: only the start of a program that writes nothing "
            "can, by one person, where approval.remember allows it"
        )
    if decision.remember > card.remember:
        raise InvalidDecision(f"an approval is remembered for {card.remember:g} s at most (approval.remember)")
    until = datetime.now(UTC) + timedelta(seconds=decision.remember)
    await db.execute(
        "INSERT OR REPLACE INTO remembered (standing, approver, proof, until, run_id) VALUES (?, ?, ?, ?, ?)",
        (card.standing, by, proof, until.isoformat(), card.run_id),
    )


async def remembered(db: aiosqlite.Connection, standing: str) -> Remembered | None:
    """Return the yes that a program still has."""
    rows = list(
        await db.execute_fetchall(
            "SELECT approver, proof, until, run_id FROM remembered WHERE standing = ?", (standing,)
        )
    )
    if not rows or (until := datetime.fromisoformat(rows[0]["until"])) <= datetime.now(UTC):
        return None
    return Remembered(rows[0]["approver"], rows[0]["proof"], until, rows[0]["run_id"])


def _what(card: ApprovalCard, digest: str) -> str:
    return "the envelope" if card.envelope and digest == card.envelope.digest else "the plan"
