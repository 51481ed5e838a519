"""Requests with a key: asked twice, in one process or in two, before or after a crash, they are done once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from osprey_executor.errors import InvalidDecision, InvalidRequestError
from osprey_executor.models import (
    Approve,
    CardRecord,
    Decision,
    PythonExecutionRequest,
    Restoring,
    RunSummary,
    decision_to_wire,
)
from osprey_executor.storage import RunStore, is_driven

_POLL_SECONDS = 0.05
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


async def begun_once(
    store: RunStore,
    begin: Callable[[str | None], Awaitable[RunSummary]],
    what: PythonExecutionRequest | Restoring,
    *,
    person: str,
    key: str | None,
) -> RunSummary:
    """Begin a run by `begin`, which is given its id, unless `person` began it with this key before.

    Raises:
        InvalidRequestError: the key is none, or stands for another request.
        PythonExecutorException: as `begin`; the key may be used again, then.
    """
    if key is None:
        return await begin(None)
    # Long enough that it is nobody else's: whatever run has this id is the one that this key began.
    own_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
    claim = await store.claim(person, _checked(key), _digest(what), own_id)
    if claim.answer is not None:
        return claim.answer
    while not await store.has(claim.run_id):
        try:
            await begin(claim.run_id)
        except InvalidRequestError:
            if not is_driven(store.folder(claim.run_id)) and not await store.has(claim.run_id):
                raise
            await asyncio.sleep(_POLL_SECONDS)  # another one with this key is at it
    return await store.answer(person, key, await store.summary(claim.run_id))


async def decided_once(
    store: RunStore,
    decide: Callable[[], Awaitable[RunSummary]],
    run_id: str,
    decision: Decision,
    *,
    person: str,
    key: str | None,
) -> RunSummary:
    """Decide a run by `decide`, unless `person` decided it with this key before.

    With a key it is no error to have decided the same already.

    Raises:
        InvalidRequestError: the key is none, or stands for another request.
        PythonExecutorException: as `decide`; the key may be used again, then.
    """
    if key is None:
        return await decide()
    claim = await store.claim(person, _checked(key), _digest({"run": run_id, **decision_to_wire(decision)}), run_id)
    if claim.answer is not None:
        return claim.answer
    # The newest card is decided again all the same: whoever took that decision up may have died.
    *earlier, _ = await _theirs(store, run_id, decision, person, claim.at) or [False]
    try:
        answer = await store.summary(run_id) if any(earlier) else await decide()
    except InvalidDecision:
        if not any(await _theirs(store, run_id, decision, person, claim.at)):
            raise
        answer = await store.summary(run_id)  # another one with this key, or one that died before it could answer
    return await store.answer(person, key, answer)


async def _theirs(store: RunStore, run_id: str, decision: Decision, person: str, since: datetime) -> list[bool]:
    """Return of each card of a run whether a person has decided it so; the newest one whenever, others since then."""
    records = await store.cards(run_id)
    return [
        _is_theirs(one, decision, person) and (one is records[-1] or (one.at is not None and one.at >= since))
        for one in records
    ]


def _is_theirs(record: CardRecord, decision: Decision, person: str) -> bool:
    """Return whether a person has decided a card so, alone or as one of two."""
    if record.decision is not None:
        return record.decision == decision and person in record.by.split(" and ")
    given = record.card.approved_by
    return isinstance(decision, Approve) and any((one.by, one.digest) == (person, decision.digest) for one in given)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidRequestError("a key is 1 to 200 printable ASCII characters without blanks; a UUID is a good one")
    return key


def _digest(what: PythonExecutionRequest | Restoring | dict[str, Any]) -> str:
    match what:
        case PythonExecutionRequest():
            told = what.model_dump(exclude={"inputs"})
            told["inputs"] = {
                name: hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else str(given)
                for name, given in what.inputs.items()
            }
        case Restoring():
            told = what.model_dump(mode="json")
        case _:
            told = what
    return hashlib.sha256(json.dumps([type(what).__name__, told], sort_keys=True, default=str).encode()).hexdigest()
