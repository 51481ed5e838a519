"""A grant: a signed yes to exactly one digest, for one run, until it expires."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from osprey_executor.approval.card import granted_channels
from osprey_executor.approval.digest import canonical
from osprey_executor.errors import WriteRefused
from osprey_executor.models import ApprovalCard, Grant
from osprey_executor.text import one_line

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f]")
_MOST_NAME = 1000


def issue_grant(card: ApprovalCard, *, approver: str, key: bytes, now: datetime) -> Grant:
    """Return the signed grant that an approval of `card` gives.

    Raises:
        WriteRefused: the card has expired.
    """
    if now >= card.expires_at:
        raise WriteRefused(f"the card of run {card.run_id} expired at {_when(card.expires_at)}: ask again")
    grant = Grant(
        run_id=card.run_id,
        digest=card.digest,
        channels=granted_channels(card),
        approver=approver,
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


def grant_allows(channels: Iterable[str], name: str) -> bool:
    """Return whether one of `channels`, names or patterns with `*`, allows a write to `name`.

    `X` and `X.VAL` are one channel. A pattern never reaches another field of a record (`.DRVH`), as those change what
    the record allows: such a field must be written out.
    """
    if not name or len(name) > _MOST_NAME or _FORBIDDEN.search(name):
        return False
    record, field = _split(name)
    for channel in channels:
        pattern, pattern_field = _split(channel)
        if field != pattern_field or "*" in pattern_field:
            continue
        if pattern == record or ("*" in pattern and _matches(pattern, record)):
            return True
    return False


def _split(name: str) -> tuple[str, str]:
    record, _, field = name.partition(".")
    return record, "" if field == "VAL" else field


def _matches(pattern: str, record: str) -> bool:
    # Piece by piece from the left; a regular expression with many stars would take exponential time.
    first, *middle, last = pattern.split("*")
    if len(record) < len(first) + len(last) or not record.startswith(first) or not record.endswith(last):
        return False
    place, end = len(first), len(record) - len(last)
    for piece in middle:
        found = record.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _signature(grant: Grant, key: bytes) -> str:
    signed = {
        "run_id": grant.run_id,
        "digest": grant.digest,
        "channels": grant.channels,
        "approver": grant.approver,
        "issued_at": _when(grant.issued_at),
        "expires_at": _when(grant.expires_at),
    }
    return hmac.new(key, canonical(signed), hashlib.sha256).hexdigest()


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
