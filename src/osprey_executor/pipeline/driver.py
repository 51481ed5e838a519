"""Drives one run through the graph: step by step, to its end or to a card that nobody decides now."""

# pyright: reportUnknownMemberType=false
# langgraph's overloads are partly unknown.

from __future__ import annotations

import asyncio
import contextvars
import inspect
from contextlib import suppress
from functools import partial
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from osprey_executor.access import Decider
from osprey_executor.errors import (
    AccessDeniedError,
    ErrorCategory,
    ExecutionCancelledError,
    InvalidDecision,
    OutcomeUnknownError,
    StorageError,
)
from osprey_executor.models import (
    ApprovalCard,
    Decision,
    ErrorReport,
    MachineEffects,
    Person,
    RunResult,
    RunStatus,
    Stage,
)
from osprey_executor.pipeline.checkpoints import Checkpoints
from osprey_executor.pipeline.decide import Decide
from osprey_executor.pipeline.graph import build_graph
from osprey_executor.pipeline.interrupted import keep_interrupted
from osprey_executor.pipeline.record import cancelled, record_end, unrecorded_result, waiting_result
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.state import State
from osprey_executor.storage import RunLock

Step = Literal["begin", "resume", "go on"]
"""A new run; one whose decision is recorded in the store; one that is somewhere between two nodes."""

_POLL_SECONDS = 0.1


class Driver:
    """Takes runs through the graph. Whoever calls it holds the lock of the run."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._graph = build_graph(checkpoints)

    async def snapshot(self, run_id: str) -> StateSnapshot:
        """Return where a run stands, as its last checkpoint tells."""
        try:
            return await self._graph.aget_state(_thread(run_id))
        except Exception as error:  # whatever a damaged file makes of the serialiser
            raise StorageError(f"the checkpoint of run {run_id} is damaged: {error}") from error

    async def back_to_card(self, run_id: str) -> None:
        """Put a run that was approved, and whose approval was taken back, before its card again."""
        await self._graph.aupdate_state(_thread(run_id), {"next": "approve"}, as_node="analyse")

    async def forget(self, run_id: str) -> None:
        """Remove the checkpoints of a run that has ended."""
        await self._checkpoints.adelete_thread(run_id)

    async def state(self, run_id: str) -> State:
        """Return the state of a run at its last checkpoint."""
        return cast(State, (await self.snapshot(run_id)).values)

    async def drive(
        self, rooms: Rooms, lock: RunLock, step: Step, *, decide: Decide | None, decider: Decider
    ) -> RunResult:
        """Take a run as far as it goes, and give its lock back.

        Args:
            rooms: the equipment of the run.
            lock: held by the caller.
            step: how it goes on.
            decide: asked for a decision, besides any other process that may decide; None: leave the card pending.
            decider: in whose name `decide` decides.

        Raises:
            AccessDeniedError: `decide` approved, and who that is has not shown that they may; the run still waits.
            InvalidDecision: `decide` gave something else than a decision, or one for another card.
            StorageError: the record cannot be written, and nothing was written to the machine.
        """
        try:
            while True:
                state = await self._advance(rooms, step)
                if state.get("next") != "approve":
                    return rooms.result or await rooms.in_thread(rooms.folder.load_result)
                card = ApprovalCard.model_validate_json(state.get("card", ""))
                await self._make_durable(rooms)
                if not await self._decided(rooms, card, decide, decider):
                    return await rooms.in_thread(waiting_result, rooms.folder, state, card)
                step = "resume"
        except asyncio.CancelledError:
            await asyncio.shield(self._end(rooms, RunStatus.CANCELLED, cancelled(rooms.run_id)))
            raise
        except ExecutionCancelledError:
            return await self._end(rooms, RunStatus.CANCELLED, cancelled(rooms.run_id))
        except OutcomeUnknownError as error:
            return await self._end(rooms, RunStatus.OUTCOME_UNKNOWN, _report(error))
        except (InvalidDecision, AccessDeniedError):
            raise
        except StorageError as error:
            # The machine was moved: whoever waits must hear of it, even where nothing can be written down any more.
            if rooms.session is None or rooms.session.effects is MachineEffects.NONE:
                raise
            return await unrecorded_result(rooms.folder, await self.state(rooms.run_id), rooms.session, error)
        except Exception as error:
            with suppress(StorageError):
                await self._end(rooms, RunStatus.FAILED, _report(error))
            raise
        finally:
            try:
                with suppress(StorageError):  # whoever watches sees the end at the lock, and in the record
                    await rooms.flush()
            finally:
                lock.release()

    async def _advance(self, rooms: Rooms, step: Step) -> State:
        """Go on to the next card or to the end, and return the state of the run there."""
        values: dict[Step, State | Command[Any] | None] = {
            "begin": {"run_id": rooms.run_id},
            "resume": Command(resume="decided"),
            "go on": None,
        }
        # An own context: where a graph of the user calls the service, ours must not become a part of that graph.
        call = self._graph.ainvoke(values[step], _thread(rooms.run_id), context=rooms, durability="sync")
        task = asyncio.create_task(call, context=contextvars.Context())
        await _unless_cancelled(rooms, task)
        return cast(State, task.result())

    async def _make_durable(self, rooms: Rooms) -> None:
        """Let a run that waits for a person, who may come tomorrow, outlive also a loss of power."""
        await rooms.in_thread(rooms.folder.make_durable)
        await self._checkpoints.make_durable()

    async def _decided(self, rooms: Rooms, card: ApprovalCard, decide: Decide | None, decider: Decider) -> bool:
        if decide is None:
            return await rooms.store.decided(rooms.run_id) is not None
        asked = asyncio.create_task(_ask(rooms, decide, decider, card))
        elsewhere = asyncio.create_task(_decided_elsewhere(rooms))
        try:
            with rooms.turns.outside():
                await _unless_cancelled(rooms, asyncio.create_task(_first_of(asked, elsewhere)))
            if elsewhere.done():
                asked.cancel(f"{elsewhere.result()} has decided in another process")
                return True
            answer = asked.result()
        finally:
            for task in (asked, elsewhere):
                await _stop(task)
        if answer is None:
            return await rooms.store.decided(rooms.run_id) is not None
        decision, person = answer
        try:
            return await rooms.store.decide(rooms.run_id, decision, by=person.name, proof=person.proof)
        except InvalidDecision:
            if await rooms.store.decided(rooms.run_id) is None:
                raise
        return True

    async def _end(self, rooms: Rooms, status: RunStatus, error: ErrorReport) -> RunResult:
        if (await rooms.store.summary(rooms.run_id)).finished_at is not None:
            return await rooms.in_thread(rooms.folder.load_result)  # it had ended before it was cancelled
        values = await self.state(rooms.run_id)
        effects = rooms.session.effects if rooms.session else MachineEffects(values.get("effects") or "none")
        if effects is MachineEffects.UNKNOWN:
            status = RunStatus.OUTCOME_UNKNOWN
        if session := rooms.session:
            await keep_interrupted(
                rooms.store,
                rooms.folder,
                values,
                status=status,
                effects=effects,
                error=error,
                reads=session.reads,
                writes=session.writes,
                refusals=session.refusals,
            )
        return await record_end(
            rooms.store,
            rooms.folder,
            values,
            status=status,
            effects=effects,
            error=error,
            in_thread=rooms.in_thread,
        )


async def _unless_cancelled(rooms: Rooms, work: asyncio.Task[Any]) -> None:
    """Wait for `work`; end it when any process asks to cancel the run."""
    cancel = asyncio.create_task(_cancel_requested(rooms))
    try:
        await asyncio.wait({work, cancel}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ExecutionCancelledError(f"run {rooms.run_id} was cancelled")
        work.result()
    finally:
        await _stop(work)
        await _stop(cancel)


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _ask(rooms: Rooms, decide: Decide, decider: Decider, card: ApprovalCard) -> tuple[Decision, Person] | None:
    told = {"run": card.run_id, "digest": card.digest, "to": decider.name}
    await rooms.in_thread(partial(rooms.store.trail.note, "card shown", **told))
    answer = decide(card)
    decision = await answer if inspect.isawaitable(answer) else answer
    if decision is not None and not isinstance(decision, Decision):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidDecision(
            f"{decision!r:.200} is not a decision: return Approve(digest), Reject(reason) or Edit(code)"
        )
    return None if decision is None else (decision, await rooms.approvers.proven(decider, decision, card))


async def _decided_elsewhere(rooms: Rooms) -> str:
    """Wait until another process has decided, and return who it was."""
    while (decided := await rooms.store.decided(rooms.run_id)) is None:  # noqa: ASYNC110 - another process decides
        await asyncio.sleep(_POLL_SECONDS)
    return decided.by


async def _cancel_requested(rooms: Rooms) -> None:
    while not await rooms.store.cancel_requested(rooms.run_id):  # noqa: ASYNC110 - another process asks
        await asyncio.sleep(_POLL_SECONDS)


def _thread(run_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": run_id}, "recursion_limit": 200}


def _report(error: Exception) -> ErrorReport:
    return ErrorReport(
        stage=Stage.EXECUTION, type=type(error).__name__, message=str(error), category=ErrorCategory.WORKFLOW
    )
