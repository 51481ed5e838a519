"""The index of runs: one row a run, its cards with their decisions, and every start of an execution."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite

from osprey_executor.audit import Trail
from osprey_executor.errors import InvalidDecision, OutcomeUnknownError, RunNotFoundError, StorageError
from osprey_executor.models import (
    RUNNING,
    Announcement,
    ApprovalCard,
    Approve,
    CardRecord,
    Decision,
    MachineEffects,
    Proof,
    RunFilter,
    RunPage,
    RunStatus,
    RunSummary,
    Settlement,
    Unsettled,
    WaitingPage,
    Write,
    decision_to_wire,
    parse_decision,
)
from osprey_executor.patience import uninterrupted
from osprey_executor.storage import _announced, _approvals, _keys, _leases, _quarantine
from osprey_executor.storage._approvals import Remembered
from osprey_executor.storage._guard import WriteGuard
from osprey_executor.storage._keys import Claim
from osprey_executor.storage._leases import Lease
from osprey_executor.storage._lock import is_driven
from osprey_executor.storage._pages import SUMMARY, page_of_runs, page_of_waiting, summary_of
from osprey_executor.storage._schema import connect, storage_error
from osprey_executor.text import one_line

_AT_ONCE = 200
"""Cards that are read together."""


@dataclass(frozen=True)
class Decided:
    """A decision as it was recorded."""

    decision: Decision
    by: str
    at: datetime
    proof: str = ""
    """How it is known who that was; empty: by a version that did not ask."""


@dataclass(frozen=True)
class UnfinishedExecution:
    """An execution that was begun and never ended."""

    number: int
    may_write: bool
    started_at: datetime


def _now() -> str:
    return datetime.now(UTC).isoformat()


class RunStore:
    """The index in one state folder; any number of processes may open it at once.

    Every method raises `StorageError` when the folder cannot be read or written.
    """

    def __init__(self, home: Path, db: aiosqlite.Connection, trail: Trail) -> None:
        self.home = home
        self.trail = trail
        """Where is told what must not be forgotten."""
        self._told: list[dict[str, Any]] = []
        """What the trail was told of the transaction at hand."""
        self._db = db
        self._turn = asyncio.Lock()
        self.guard = WriteGuard(home)
        """Asked before each write."""

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path, trail: Trail | None = None) -> AsyncGenerator[RunStore]:
        """Open the index of `home`, made if it is not there; `trail` where its heads go somewhere.

        Raises:
            StorageError: the folder cannot be used.
        """
        db = await connect(home)
        store = cls(home, db, trail or Trail(home))
        try:
            yield store
        finally:
            store.guard.close()
            await db.close()

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run."""
        return self.home / "runs" / run_id

    async def add(self, run_id: str, *, task: str, requester: str, generator: str, config: dict[str, Any]) -> bool:
        """Add a run in state `running`; False if there is one of that id already."""
        added = await self._execute(
            "INSERT OR IGNORE INTO runs (run_id, state, task, requester, generator, config, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run_id, RUNNING, task, requester, generator, json.dumps(config), _now()),
        )
        return added == 1

    async def has(self, run_id: str) -> bool:
        """Tell whether there is a run of exactly that id."""
        return bool(await self._rows("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)))

    async def find(self, prefix: str) -> str:
        """Return the id of the one run whose id is, or begins with, `prefix`.

        Raises:
            RunNotFoundError: there is none, or more than one.
        """
        rows = await self._rows(
            # By its index; nothing in an id comes after the last character that there is.
            "SELECT run_id FROM runs WHERE run_id BETWEEN ? AND ? ORDER BY run_id = ? DESC, run_id LIMIT 4",
            (prefix, f"{prefix}\U0010ffff", prefix),
        )
        ids = [row["run_id"] for row in rows]
        if not ids or not prefix:
            raise RunNotFoundError(f"no run {one_line(prefix, 80)!r} in {self.home}; `osprey-executor runs` lists them")
        if len(ids) > 1 and ids[0] != prefix:
            raise RunNotFoundError(f"{prefix!r} is the beginning of more than one run: {', '.join(ids)}")
        return ids[0]

    async def config(self, run_id: str) -> dict[str, Any]:
        """Return the configuration that was stored with the run."""
        rows = await self._rows("SELECT config FROM runs WHERE run_id = ?", (run_id,))
        try:
            return json.loads(rows[0]["config"]) if rows else {}
        except ValueError as error:
            raise StorageError(f"the configuration stored with run {run_id} is damaged: {error}") from error

    async def summary(self, run_id: str) -> RunSummary:
        """Return the row of one run.

        Raises:
            RunNotFoundError: there is none of that id.
        """
        rows = await self._rows(f"SELECT {SUMMARY} FROM runs WHERE run_id = ?", (run_id,))  # noqa: S608 - constant text
        if not rows:
            raise RunNotFoundError(f"no run {one_line(run_id, 80)!r} in {self.home}")
        return summary_of(rows[0], self.folder(run_id))

    async def summaries(self, limit: int = 50, state: str | None = None) -> list[RunSummary]:
        """Return runs, the newest first."""
        return list((await self.page(RunFilter(state=state), limit)).runs)

    async def page(self, wanted: RunFilter, limit: int, after: str = "") -> RunPage:
        """Return up to `limit` of the wanted runs, the newest first, beginning behind the cursor `after`.

        Raises:
            InvalidRequestError: that is no cursor.
        """
        return await page_of_runs(self._rows, self.folder, wanted, limit, after)

    async def set_state(self, run_id: str, state: str, effects: MachineEffects = MachineEffects.NONE) -> None:
        """Set the state of a run; an end also sets the time of the end, and gives back a lease that is left."""
        ended = state not in (RUNNING, RunStatus.AWAITING_APPROVAL)
        await self._execute(
            "UPDATE runs SET state = ?, effects = ?, finished_at = ? WHERE run_id = ?",
            (state, effects, _now() if ended else None, run_id),
            durable=effects is not MachineEffects.NONE,
        )

    async def request_cancel(self, run_id: str) -> None:
        """Ask whoever drives the run to end it."""
        await self._execute(
            "UPDATE runs SET cancel_requested = 1 WHERE run_id = ? AND state IN (?, ?)",
            (run_id, RUNNING, RunStatus.AWAITING_APPROVAL),
        )

    async def cancel_requested(self, run_id: str) -> bool:
        """Tell whether somebody asked to end the run."""
        rows = await self._rows("SELECT cancel_requested FROM runs WHERE run_id = ?", (run_id,))
        return bool(rows and rows[0]["cancel_requested"])

    async def add_card(self, card: ApprovalCard) -> ApprovalCard:
        """Make `card` the pending one of its run, instead of any earlier undecided one, and return the one that counts.

        That is an earlier one where the very same attempt was decided already: a process died in between.
        """
        told = {"headline": card.headline, "reason": card.reason, "persons": card.persons}
        async with self._transaction(durable=True):
            rows = await self._rows(
                "SELECT card FROM cards WHERE number = (SELECT max(number) FROM cards WHERE run_id = ?) AND digest = ?"
                " AND redeemed_at IS NULL AND decision IS NOT NULL AND json_extract(card, '$.attempt') = ?",
                (card.run_id, card.digest, card.attempt),
            )
            if rows:
                return ApprovalCard.model_validate_json(rows[0]["card"])
            await self._db.execute("DELETE FROM cards WHERE run_id = ? AND decision IS NULL", (card.run_id,))
            await self._db.execute(
                "INSERT INTO cards (run_id, digest, card, expires_at) VALUES (?, ?, ?, ?)",
                (card.run_id, card.digest, card.model_dump_json(), card.expires_at.astimezone(UTC).isoformat()),
            )
            await self._db.execute(
                "UPDATE runs SET state = ? WHERE run_id = ?", (RunStatus.AWAITING_APPROVAL, card.run_id)
            )
            await self._record("card", run=card.run_id, digest=card.digest, requester=card.requester, **told)
        return card

    async def card(self, run_id: str) -> ApprovalCard | None:
        """Return the newest card of a run, decided or not."""
        rows = await self._rows(
            "SELECT number, card FROM cards WHERE run_id = ? ORDER BY number DESC LIMIT 1", (run_id,)
        )
        return await _approvals.shown(self._db, rows[0]) if rows else None

    async def remembered(self, standing: str) -> Remembered | None:
        """Return the yes that a program of this digest still has from an earlier run."""
        return await _approvals.remembered(self._db, standing)

    async def cards(self, run_id: str) -> list[CardRecord]:
        """Return the cards that a run was asked about with, the oldest first, each with what became of it."""
        rows = await self._rows(
            "SELECT number, card, decision, decided_by, decided_at, proof FROM cards WHERE run_id = ? ORDER BY number",
            (run_id,),
        )
        return [
            CardRecord(
                card=await _approvals.shown(self._db, row),
                decision=parse_decision(json.loads(row["decision"])) if row["decision"] else None,
                by=row["decided_by"] or "",
                proof=row["proof"] or "",
                at=row["decided_at"],
            )
            for row in rows
        ]

    async def pending(self) -> list[ApprovalCard]:
        """Return the cards that wait for a person, the oldest runs first.

        With them those that were decided by a process that died before it could go on: nobody drives their runs.
        """
        cards: list[ApprovalCard] = []
        page = await self.waiting(limit=_AT_ONCE)
        while True:
            marks = ", ".join("?" * len(page.approvals))
            rows = await self._rows(
                f"SELECT number, card FROM runs JOIN cards USING (run_id) WHERE run_id IN ({marks}) AND number ="  # noqa: S608 - constant text
                " (SELECT max(number) FROM cards AS newer WHERE newer.run_id = runs.run_id)"
                " ORDER BY runs.created_at, run_id",
                tuple(one.run_id for one in page.approvals),
            )
            cards += [await _approvals.shown(self._db, row) for row in rows]
            if page.next is None:
                return cards
            page = await self.waiting(limit=_AT_ONCE, after=page.next)

    async def waiting(self, requester: str | None = None, *, limit: int, after: str = "") -> WaitingPage:
        """Return up to `limit` of the cards that `pending` returns, as lists show them, beginning behind `after`.

        Raises:
            InvalidRequestError: that is no cursor.
        """

        def driven(run_id: str) -> bool:
            return is_driven(self.folder(run_id))

        return await page_of_waiting(self._rows, driven, requester, limit, after)

    async def decide(
        self, run_id: str, decision: Decision, *, by: str, proof: Proof = "system", stranded: bool = False
    ) -> bool:
        """Record a decision on the newest card of a run. Exactly one decision wins.

        Returns:
            Whether that decides it; False: another person must approve it, too.

        Args:
            run_id: the run.
            decision: the decision.
            by: who decides.
            proof: how that is known.
            stranded: the caller holds the lock of the run, so nobody acts upon an earlier approval any more: it may
                be taken back.

        Raises:
            InvalidDecision: nothing waits, another was first, the digest is another card's, or it has expired.
        """
        async with self._transaction(durable=True):
            rows = await self._rows(
                "SELECT cards.*, state FROM cards JOIN runs USING (run_id) WHERE run_id = ?"
                " ORDER BY number DESC LIMIT 1",
                (run_id,),
            )
            if not rows or (rows[0]["decision"] is None and rows[0]["state"] != RunStatus.AWAITING_APPROVAL):
                state = f": it is {rows[0]['state'].replace('_', ' ')}" if rows else ""
                raise InvalidDecision(f"run {run_id} does not wait for a decision{state}")
            card = rows[0]
            earlier = parse_decision(json.loads(card["decision"])) if card["decision"] else None
            taken_back = stranded and isinstance(earlier, Approve) and not isinstance(decision, Approve)
            if earlier and (not taken_back or card["redeemed_at"]):
                raise InvalidDecision(
                    f"run {run_id} was decided already: {json.loads(card['decision'])['decision']}"
                    f" by {one_line(card['decided_by'])} at {card['decided_at']}"
                )
            approver, proofs = by, str(proof)
            if isinstance(decision, Approve):
                seen = ApprovalCard.model_validate_json(card["card"])
                if decision.digest not in seen.digests:
                    raise InvalidDecision(
                        f"that digest is not of the card that run {run_id} waits with; look again and approve"
                        f" {card['digest'][:12]}…"
                    )
                if datetime.fromisoformat(card["expires_at"]) <= datetime.now(UTC):
                    raise InvalidDecision(f"the card of run {run_id} expired at {card['expires_at']}; run it anew")
                all_of_them = await _approvals.one_more(self._db, card["number"], seen, decision, by, proof)
                if all_of_them is None:
                    await self._record("approved in part", run=run_id, by=by, proof=proof, digest=decision.digest)
                    return False
                approver, proofs = all_of_them
                await _approvals.remember(self._db, seen, decision, approver, proofs)
            await self._db.execute(
                "UPDATE cards SET decision = ?, decided_by = ?, decided_at = ?, proof = ? WHERE number = ?",
                (json.dumps(decision_to_wire(decision)), approver, _now(), proofs, card["number"]),
            )
            told = decision_to_wire(decision) | {"card": card["digest"], "by": approver, "proof": proofs}
            await self._record("decision", run=run_id, **told)
            return True

    async def decided(self, run_id: str) -> Decided | None:
        """Return the decision on the newest card of a run, if there is one."""
        rows = await self._rows(
            "SELECT decision, decided_by, decided_at, proof FROM cards WHERE run_id = ? ORDER BY number DESC LIMIT 1",
            (run_id,),
        )
        if not rows or rows[0]["decision"] is None:
            return None
        row = rows[0]
        at = datetime.fromisoformat(row["decided_at"])
        return Decided(parse_decision(json.loads(row["decision"])), row["decided_by"], at, row["proof"] or "")

    async def claim(self, person: str, key: str, asked: str, run_id: str) -> Claim:
        """Note what a person asks for under a key of theirs, unless they asked for it before; old keys are forgotten.

        Args:
            person: who asks.
            key: chosen by them.
            asked: a digest of what they ask for.
            run_id: the run that it concerns or would begin.

        Raises:
            InvalidRequestError: the key stands for something else.
        """
        async with self._transaction(durable=False):
            return await _keys.claim(self._db, person, key, asked, run_id)

    async def answer(self, person: str, key: str, answer: RunSummary) -> RunSummary:
        """Keep what was answered to a key, and return what was answered to it first."""
        async with self._transaction(durable=False):
            return await _keys.answer(self._db, person, key, answer)

    async def count(self, state: str) -> int:
        """Return how many runs are in a state."""
        [row] = await self._rows("SELECT count(*) AS total FROM runs WHERE state = ?", (state,))
        return row["total"]

    async def begin_execution(
        self, run_id: str, number: int, *, may_write: bool, digest: str | None, lease: Lease | None = None
    ) -> None:
        """Record, durably and once, that execution `number` of a run starts; redeems the approval of `digest`.

        Raises:
            OutcomeUnknownError: this execution was begun before, or its approval was used before.
            MachineBusyError: another run holds what `lease` asks for; nothing is recorded, and nothing redeemed.
        """
        async with self._transaction(durable=may_write or digest is not None):
            if digest is not None:
                redeemed = await self._db.execute(
                    "UPDATE cards SET redeemed_at = ? WHERE number = (SELECT max(number) FROM cards WHERE run_id = ?)"
                    " AND digest = ? AND redeemed_at IS NULL AND json_extract(decision, '$.decision') = 'approve'",
                    (_now(), run_id, digest),
                )
                if redeemed.rowcount != 1:
                    raise OutcomeUnknownError(
                        f"the approval of run {run_id} was used before; it holds for one execution"
                    )
            added = await self._db.execute(
                "INSERT OR IGNORE INTO executions (run_id, number, may_write, started_at) VALUES (?, ?, ?, ?)",
                (run_id, number, int(may_write), _now()),
            )
            if added.rowcount != 1:
                raise OutcomeUnknownError(f"execution {number} of run {run_id} was begun before and is not begun twice")
            if lease is not None:
                await _leases.take(self._db, run_id, lease)
            await self._db.execute("UPDATE runs SET state = ? WHERE run_id = ?", (RUNNING, run_id))

    async def end_execution(
        self,
        run_id: str,
        number: int,
        effects: MachineEffects = MachineEffects.NONE,
        unsettled: Sequence[Write] = (),
    ) -> None:
        """Record that the execution has ended and its outcome is in the run folder; give back its lease.

        Channels of `unsettled`, writes that nobody can say have arrived, are in quarantine from then on.
        """
        end = "UPDATE executions SET finished_at = ? WHERE run_id = ? AND number = ?"
        if not unsettled:
            await self._execute(end, (_now(), run_id, number), durable=effects is not MachineEffects.NONE)
            return
        async with self._transaction(durable=True):
            await _quarantine.put(self._db, run_id, unsettled)
            await self._db.execute(end, (_now(), run_id, number))

    async def take_lease(self, run_id: str, lease: Lease) -> None:
        """Take a lease for a run that is going on, in the place of the one that it has.

        Raises:
            MachineBusyError: another run holds what it asks for.
        """
        async with self._transaction(durable=False):
            await _leases.take(self._db, run_id, lease)

    async def busy(self, run_id: str, lease: Lease) -> str | None:
        """Return which other run holds at this moment what `lease` asks for, in words; None: none does."""
        return await _leases.busy(self._db, run_id, lease)

    async def leases(self) -> list[tuple[str, Lease, datetime]]:
        """Return which runs hold what for writing at this moment, and since when, the oldest first."""
        rows = await self._rows("SELECT run_id, machine, channels, taken_at FROM leases ORDER BY taken_at, run_id")
        return [
            (
                row["run_id"],
                Lease(row["machine"], tuple(json.loads(row["channels"]))),
                datetime.fromisoformat(row["taken_at"]),
            )
            for row in rows
        ]

    async def release_lease(self, run_id: str, unsettled: Sequence[Write]) -> None:
        """Give back the lease of a run whose driver died, its `unsettled` writes in quarantine from then on."""
        async with self._transaction(durable=True):
            await _quarantine.put(self._db, run_id, unsettled)
            await _leases.release(self._db, run_id)

    async def quarantine(self, *, run_id: str | None = None, machine: str | None = None) -> list[Unsettled]:
        """Return what is in quarantine, the oldest first: by one run, or on one machine, or all of it."""
        rows = await self._rows(_quarantine.OPEN)
        return _quarantine.chosen(rows, run_id, machine)

    async def settle(self, settlement: Settlement) -> None:
        """Lift the quarantine of a settlement, and set what the run did to the machine, as far as it is known now.

        Raises:
            InvalidDecision: somebody settled it meanwhile.
        """
        async with self._transaction(durable=True):
            await _quarantine.lift(self._db, settlement)
            await self._db.execute(
                "UPDATE runs SET effects = ? WHERE run_id = ?", (settlement.effects, settlement.run_id)
            )
            channels = {write.channel: write.outcome for write in settlement.writes}
            await self._record("settled", run=settlement.run_id, by=settlement.by, channels=channels)

    async def ended_before(self, moment: datetime, *, written: bool) -> list[str]:
        """Return the ids of runs that had ended by then, the oldest first, and of whose writes the end is known.

        Those that wrote to the machine are among them only with `written`.
        """
        effects = (MachineEffects.NONE, MachineEffects.WRITTEN if written else MachineEffects.NONE)
        rows = await self._rows(
            "SELECT run_id FROM runs WHERE finished_at < ? AND effects IN (?, ?) AND run_id NOT IN"
            " (SELECT run_id FROM quarantine WHERE settled_at IS NULL) ORDER BY created_at",
            (moment.astimezone(UTC).isoformat(), *effects),
        )
        return [row["run_id"] for row in rows]

    async def remove(self, run_id: str) -> None:
        """Remove a run that has ended, and all that the index knows of it."""
        async with self._transaction(durable=False):
            for table in ("keys", "announced", "quarantine", "leases", "executions", "cards", "runs"):
                await self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))  # noqa: S608 - constant names

    async def untold(self) -> list[Announcement]:
        """Return what nobody outside has been told yet, the oldest first; some at a time."""
        return [_announced.announcement_of(row) for row in await self._rows(_announced.UNTOLD, _announced.moment())]

    async def tell(self, announcement: Announcement) -> bool:
        """Take it upon the caller to tell somebody outside; False: another process has."""
        return await self._execute(_announced.TELL, (announcement.run_id, announcement.what, _now())) == 1

    async def unfinished_execution(self, run_id: str) -> UnfinishedExecution | None:
        """Return the execution that was begun and never ended, if there is one."""
        rows = await self._rows(
            "SELECT number, may_write, started_at FROM executions WHERE run_id = ? AND finished_at IS NULL"
            " ORDER BY number DESC LIMIT 1",
            (run_id,),
        )
        if not rows:
            return None
        row = rows[0]
        return UnfinishedExecution(row["number"], bool(row["may_write"]), datetime.fromisoformat(row["started_at"]))

    async def _record(self, kind: str, **facts: object) -> None:
        """Tell the audit trail, durably, what the transaction at hand does: what the trail cannot hold is not done."""
        self._told.append({"what": kind, "run": facts.get("run"), "by": facts.get("by")})
        try:
            await uninterrupted(asyncio.to_thread(self.trail.record, kind, durable=True, **facts))
        except StorageError:
            self._told.pop()
            raise

    async def _rows(self, sql: str, values: tuple[object, ...] | dict[str, str] = ()) -> list[sqlite3.Row]:
        try:
            return list(await self._db.execute_fetchall(sql, values))
        except sqlite3.Error as error:
            raise storage_error(self.home, error) from error

    async def _execute(self, sql: str, values: tuple[object, ...], *, durable: bool = False) -> int:
        async with self._writing(durable):  # one statement is a transaction by itself
            return (await self._db.execute(sql, values)).rowcount

    @asynccontextmanager
    async def _transaction(self, *, durable: bool) -> AsyncGenerator[None]:
        async with self._writing(durable):
            try:
                await self._whole("BEGIN IMMEDIATE")
                yield
                await self._whole("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    await self._whole("ROLLBACK")
                for told in self._told:
                    await uninterrupted(asyncio.to_thread(self.trail.note, "not done", **told))
                raise
            finally:
                self._told.clear()

    @asynccontextmanager
    async def _writing(self, durable: bool) -> AsyncGenerator[None]:
        """Give the caller its turn at the connection; `durable`: what it commits outlives a power cut, too."""
        # One connection serves every task of this process, so they take turns; other processes wait in SQLite.
        async with self._turn:
            try:
                try:
                    if durable:
                        await self._whole("PRAGMA synchronous = FULL")
                    yield
                finally:
                    if durable:
                        await self._whole("PRAGMA synchronous = NORMAL")
            except sqlite3.Error as error:
                raise storage_error(self.home, error) from error

    async def _whole(self, sql: str) -> None:
        """Execute what decides on other statements; it is done, or has failed, when this returns or is cancelled."""

        async def work() -> None:
            await self._db.execute(sql)

        await uninterrupted(work())
