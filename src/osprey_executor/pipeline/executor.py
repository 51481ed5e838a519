"""The runs of one state folder: begun, decided, cancelled, shown, and set right after a crash."""

from __future__ import annotations

import asyncio
import functools
import gc
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from osprey_executor.access import Approvers, Decider, People
from osprey_executor.approval import approval_key
from osprey_executor.audit import Trail
from osprey_executor.config import Config
from osprey_executor.control import control_report, restoring_of
from osprey_executor.errors import (
    InvalidDecision,
    InvalidRequestError,
    PythonExecutorException,
    RunGoesOnError,
    StorageError,
    WriteRefused,
)
from osprey_executor.generation import CodeGenerator, create_code_generator, generator_label
from osprey_executor.memory import Memory
from osprey_executor.models import (
    RUNNING,
    ApprovalCard,
    Approve,
    ChannelNow,
    Decision,
    MachineEffects,
    Outcome,
    Person,
    Probe,
    Program,
    ProvenScript,
    Pruning,
    PythonExecutionRequest,
    Rehearsal,
    Restoring,
    Role,
    RunResult,
    RunStatus,
    Settlement,
)
from osprey_executor.models.events import Event, Finished
from osprey_executor.pipeline.decide import Decide
from osprey_executor.pipeline.equipment import Equipment, EquipmentPool
from osprey_executor.pipeline.in_the_way import in_the_way
from osprey_executor.pipeline.looking import present
from osprey_executor.pipeline.probe import probe
from osprey_executor.pipeline.pruning import prunable, prune
from osprey_executor.pipeline.record import cancelled, waiting_result, with_notes
from osprey_executor.pipeline.recovery import end_undriven, recover, settle
from osprey_executor.pipeline.rehearsing import rehearse_alone
from osprey_executor.pipeline.remembering import proven
from osprey_executor.pipeline.restoring import failed_after_writing, followed_by, is_restore, restore_request, with_note
from osprey_executor.pipeline.rooms import Rooms
from osprey_executor.pipeline.settling import lift, look
from osprey_executor.pipeline.threads import InThread, few_threads
from osprey_executor.pipeline.turns import Turns
from osprey_executor.results import ReplaySession, RunFolder, sweep_rehearsals
from osprey_executor.storage import EventLog, RunLock, RunStore, follow, is_driven
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.pipeline.driver import Driver

_POLL_SECONDS = 0.1
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Listener = Callable[[Event], None]
_P = ParamSpec("_P")
_T = TypeVar("_T")


def _admitted(
    method: Callable[Concatenate[Executor, _P], Awaitable[_T]],
) -> Callable[Concatenate[Executor, _P], Coroutine[Any, Any, _T]]:
    """Let what executes code in where there is room, else refuse it before anything is begun."""

    @functools.wraps(method)
    async def admitted(executor: Executor, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with executor.turns.admitted():
            return await method(executor, *args, **kwargs)

    return admitted


class Executor:
    """Everything that the service does with runs."""

    def __init__(
        self,
        store: RunStore,
        equipment: EquipmentPool,
        stack: AsyncExitStack,
        key: bytes,
        turns: Turns,
        in_thread: InThread,
        memory: Memory,
        approvers: Approvers,
    ) -> None:
        self.store = store
        self.approvers = approvers
        self.memory = memory
        self.equipment = equipment
        self.turns = turns
        self._in_thread = in_thread
        self._stack = stack
        self._key = key
        self._opened: Driver | None = None
        self._recorded: tuple[Config, dict[str, Any]] | None = None
        """The last configuration, which is nearly always the next one, too, and its record."""
        self._opening = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path, config: Config) -> AsyncGenerator[Executor]:
        """Open the state folder and set right what a crash left there.

        Args:
            home: the state folder.
            config: how much is done at once, who approves, and where the heads of the audit trail go. All else is
                that of each run.

        Raises:
            StorageError: the folder cannot be used.
        """
        async with AsyncExitStack() as stack:
            trail = Trail(home, config.audit.heads, config.audit.interval)
            store = await stack.enter_async_context(RunStore.open(home, trail))
            inner = await stack.enter_async_context(AsyncExitStack())
            in_thread = inner.enter_context(few_threads())
            key = await in_thread(approval_key, home)
            memory = Memory(home)
            inner.push_async_callback(memory.close)
            approvers = Approvers(People(home), config.access, store.trail)
            turns = Turns(config.execution)
            executor = cls(store, EquipmentPool(inner, home), inner, key, turns, in_thread, memory, approvers)
            with suppress(StorageError):  # a full disk must not keep anyone from looking
                await executor.recover()
                await in_thread(sweep_rehearsals, home)
            try:
                yield executor
            finally:
                await executor.turns.end_all()

    async def _driver(self) -> Driver:
        # At its first use: who lists or shows runs needs neither the graph nor the time that importing it takes.
        from osprey_executor.pipeline.checkpoints import open_checkpoints
        from osprey_executor.pipeline.driver import Driver

        async with self._opening:
            if self._opened is None:
                # What was imported stays: a collector that looked at it again and again would stall the event loop.
                gc.freeze()
                checkpoints = await self._stack.enter_async_context(open_checkpoints(self.store.home))
                self._opened = Driver(checkpoints)
            return self._opened

    @_admitted
    async def start(
        self,
        request: PythonExecutionRequest,
        config: Config,
        *,
        generator: CodeGenerator | None = None,
        run_id: str | None = None,
        decide: Decide | None = None,
        decider: Decider,
        listener: Listener | None = None,
    ) -> RunResult:
        """Begin a run and drive it to its end, or to a card that nobody decides now.

        Raises:
            EngineUnavailableError: the engine cannot give what the configuration demands.
            ServiceBusyError: as many runs as the configuration allows are on their way.
            ConfigurationError: no generator is configured, or the configuration cannot be used.
            InvalidRequestError: an input cannot be read, or there is a run of that id.
        """
        if run_id is not None and not _RUN_ID.fullmatch(run_id):
            raise InvalidRequestError(
                f"{run_id!r:.120} cannot be a run id (LangGraph: thread_id): use letters, digits, '.', '-' and '_'"
            )
        if request.code is None and generator is None:
            generator = create_code_generator(config)
        label = "user" if generator is None or request.code is not None else generator_label(config, generator)
        if self._recorded is None or self._recorded[0] is not config:
            self._recorded = config, config.to_record()
        record = self._recorded[1]
        equipment = await self.equipment.of(config, record)
        driver = await self._driver()
        folder, lock = await self._reserve(run_id)
        try:
            # Inputs may be large, and must not keep the few threads from other runs.
            await (asyncio.to_thread if request.inputs else self._in_thread)(folder.save_request, request)
            rooms = self._rooms(folder, request, config, equipment, generator, label, listener)
            # Last: from here on the run is in the index, and the driver answers for its end.
            await self.store.add(
                folder.run_id, task=request.user_query, requester=request.requester, generator=label, config=record
            )
            asked = {"requester": request.requester, "task": one_line(request.user_query), "generator": label}
            await self._in_thread(partial(self.store.trail.note, "request", run=folder.run_id, **asked))
        except BaseException:
            lock.release()
            raise
        result = await driver.drive(rooms, lock, "begin", decide=decide, decider=decider)
        return await self._follow_up(result, request, config)

    async def decide(
        self,
        prefix: str,
        decision: Decision,
        *,
        decider: Decider,
        generator: CodeGenerator | None = None,
        listener: Listener | None = None,
        recorded: Callable[[], None] | None = None,
    ) -> RunResult:
        """Record a decision and see the run to its end, or to the next card; `recorded` is called in between.

        Raises:
            RunNotFoundError: no such run.
            InvalidDecision: nothing waits, another decision was first, or the digest is another card's.
            AccessDeniedError: who decides has not shown that they may; nothing is decided.
            ServiceBusyError: an approval, and as many runs as the configuration allows are on their way.
        """
        # Only an approval needs the engine at once; a person can always say no.
        with self.turns.admitted(always=not isinstance(decision, Approve)):
            run_id = await self.store.find(prefix)
            return await self._decide(run_id, decision, decider, generator, listener, recorded)

    async def _decide(
        self,
        run_id: str,
        decision: Decision,
        decider: Decider,
        generator: CodeGenerator | None,
        listener: Listener | None,
        recorded: Callable[[], None] | None,
    ) -> RunResult:
        shown = await self.store.card(run_id)
        if shown is None:
            raise InvalidDecision(f"run {run_id} does not wait for a decision")
        person = await self.approvers.proven(decider, decision, shown)
        lock = RunLock(self.store.folder(run_id))
        earlier = await self.store.decided(run_id)
        waits = (await self.store.summary(run_id)).state == RunStatus.AWAITING_APPROVAL
        # Decided, but the process that should have gone on died: the same decision goes on with it.
        stranded = waits and earlier is not None and lock.acquire()
        decided = True
        if not (stranded and earlier and earlier.decision == decision):
            try:
                decided = await self.store.decide(
                    run_id, decision, by=person.name, proof=person.proof, stranded=stranded
                )
            except BaseException:
                lock.release()
                raise
        if recorded is not None:
            recorded()
        if not decided:  # another person must approve it, too
            return await self.result(run_id)
        await lock.wait()
        return await self._go_on(run_id, lock, generator, decider, listener)

    async def cancel(self, prefix: str) -> RunResult:
        """End a run, whoever drives it; an ended one stays as it is.

        Raises:
            RunNotFoundError: no such run.
        """
        run_id = await self.store.find(prefix)
        await self.store.request_cancel(run_id)
        lock = RunLock(self.store.folder(run_id))
        await lock.wait()
        with lock:
            state = (await self.store.summary(run_id)).state
            if state not in (RUNNING, RunStatus.AWAITING_APPROVAL):
                return await asyncio.to_thread(self._folder(run_id).load_result)
            if state == RUNNING:  # its driver died: what it did is told, not what is asked of it now
                await settle(self.store, self._driver, run_id)
                return await asyncio.to_thread(self._folder(run_id).load_result)
            await end_undriven(
                self.store, self._driver, run_id, RunStatus.CANCELLED, MachineEffects.NONE, error=cancelled(run_id)
            )
            return await asyncio.to_thread(self._folder(run_id).load_result)

    async def result(self, prefix: str) -> RunResult:
        """Return how a run ended, or that it waits.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it has not ended and does not wait.
        """
        run_id = await self.store.find(prefix)
        summary = await self.store.summary(run_id)
        if summary.state == RunStatus.AWAITING_APPROVAL:
            card = await self.card(run_id)
            values = await (await self._driver()).state(run_id)
            return await asyncio.to_thread(waiting_result, self._folder(run_id), values, card)
        if summary.state == RUNNING:
            raise RunGoesOnError(f"run {run_id} is going on; `osprey-executor watch {run_id}` shows it")
        return await asyncio.to_thread(self._folder(run_id).load_result)

    async def pending_card(self, run_id: str) -> ApprovalCard:
        """Return the card that waits; `run_id` is the whole id, no beginning of one.

        Raises:
            RunNotFoundError: no such run.
            InvalidDecision: the run does not wait for a decision.
        """
        await self.store.summary(run_id)
        return await self.card(run_id)

    async def card(self, prefix: str) -> ApprovalCard:
        """Return the card that waits.

        Raises:
            RunNotFoundError: no such run.
            InvalidDecision: the run does not wait for a decision.
        """
        run_id = await self.store.find(prefix)
        card = await self.store.card(run_id)
        if card is None or (await self.store.summary(run_id)).state != RunStatus.AWAITING_APPROVAL:
            raise InvalidDecision(f"run {run_id} does not wait for a decision")
        return card

    async def in_the_way(self, card: ApprovalCard) -> tuple[str, ...]:
        """Return why the run of `card` would not write if it were approved at this moment; see `in_the_way`.

        Raises:
            RunNotFoundError: no such run.
        """
        config = Config.from_record(await self.store.config(card.run_id))
        return await in_the_way(card, config, self.store, self.equipment)

    async def present(self, card: ApprovalCard) -> tuple[ChannelNow, ...]:
        """Return the channels of a card's plan as they are now.

        Raises:
            PythonExecutorException: the control system of its run cannot be had.
        """
        return await present(card, self.store, self.equipment)

    async def graph_state(self, run_id: str) -> dict[str, Any]:
        """Return the state of a run as a LangGraph graph gives it, with `__interrupt__` where it waits."""
        snapshot = await (await self._driver()).snapshot(run_id)
        waiting = {"__interrupt__": list(snapshot.interrupts)} if snapshot.interrupts else {}
        return {**snapshot.values, **waiting}

    async def events(self, prefix: str, after: int = 0) -> AsyncGenerator[tuple[int, Event]]:
        """Yield the numbered events of a run behind number `after` until nobody drives it any more.

        The last one is `Finished`, which stands in no record and has the number of the one before it, or `after`.

        Raises:
            RunNotFoundError: no such run.
        """
        run_id = await self.store.find(prefix)
        folder = self.store.folder(run_id)
        left = asyncio.Event()

        async def until_left() -> None:
            while is_driven(folder):  # noqa: ASYNC110 - it is another process that leaves it
                await asyncio.sleep(_POLL_SECONDS)
            left.set()

        waiting = asyncio.create_task(until_left())
        try:
            async for number, event in follow(folder, left, after):
                after = number
                yield number, event
        finally:
            waiting.cancel()
        await self.recover()
        yield after, Finished(run_id=run_id, result=await self.result(run_id))

    @_admitted
    async def replay(self, prefix: str) -> Outcome:
        """Execute the last program of a run again, against its record; the machine is not touched.

        Raises:
            RunNotFoundError: no such run.
            InvalidRequestError: it has executed nothing.
        """
        run_id = await self.store.find(prefix)
        folder = self._folder(run_id)
        result = await self.result(run_id)
        if result.code is None or not any(attempt.status for attempt in result.attempts):
            raise InvalidRequestError(f"run {run_id} executed nothing, so there is nothing to replay")
        request = await asyncio.to_thread(folder.load_request)
        equipment = await self.equipment.of(Config.from_record(await self.store.config(run_id)))
        session = await asyncio.to_thread(ReplaySession.of, folder)
        inputs = await asyncio.to_thread(folder.inputs)
        program = Program(code=result.code, inputs=inputs, context=request.capability_context_data)
        async with self.turns.turn(lambda: None):
            return with_notes(await equipment.engine.run(program, control=session), session)

    async def restoring(self, prefix: str) -> Restoring:
        """Look at what a restore of a run would bring back now.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it is going on.
        """
        run_id = await self.store.find(prefix)
        if (await self.store.summary(run_id)).finished_at is None:
            raise RunGoesOnError(f"run {run_id} has not ended: there is nothing to restore yet")
        config = Config.from_record(await self.store.config(run_id))
        broker = (await self.equipment.of(config)).broker
        limits = await asyncio.to_thread(broker.limits)
        return await restoring_of(run_id, self._folder(run_id).journal, broker.connector, broker.report, limits)

    async def restore(
        self,
        restoring: Restoring,
        *,
        requester: str,
        decide: Decide | None = None,
        decider: Decider,
        run_id: str | None = None,
        listener: Listener | None = None,
    ) -> RunResult:
        """Begin the run that brings back what `restoring` shows, on the machine and by the configuration of its run.

        Raises:
            InvalidRequestError: there is nothing to bring back, or not what `restoring` shows any more.
            WriteRefused: writes are stopped.
        """
        if not restoring.channels:
            raise InvalidRequestError(f"nothing of run {restoring.run_id} can be brought back")
        seen, restoring = restoring, await self.restoring(restoring.run_id)
        if restoring.channels != seen.channels:
            raise InvalidRequestError(f"the channels of run {restoring.run_id} have changed since: look again")
        config = Config.from_record(await self.store.config(restoring.run_id))
        if stopped := await (await self.equipment.of(config)).broker.stopped():
            raise WriteRefused(f"run {restoring.run_id} is not restored: {stopped}")
        request = restore_request(restoring, requester)
        return await self.start(request, config, run_id=run_id, decide=decide, decider=decider, listener=listener)

    @_admitted
    async def rehearse(self, request: PythonExecutionRequest, config: Config) -> Rehearsal:
        """Run a program of one's own with its writes kept from the machine; nobody is asked, no run is made.

        Raises:
            PolicyDeniedError: the site's policy denies the code.
            EngineUnavailableError: its containment is not proven next to a real machine.
            ControlSystemError: the simulator that stands in for the machine cannot be had.
        """
        equipment = await self.equipment.of(config)
        async with self.turns.turn(lambda: None):
            return await rehearse_alone(self.store.home, equipment, config, request, self._in_thread)

    async def unsettled(self, prefix: str) -> Settlement:
        """Look at the channels that a run left in quarantine.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it is going on.
        """
        await self.recover()
        return await look(self.store, self.equipment, await self.store.find(prefix))

    async def settle(self, seen: Settlement, *, decider: Decider) -> Settlement:
        """Let the channels of a run be written again: `decider` has looked at the machine, and at `seen`.

        Raises:
            RunNotFoundError: no such run.
            AccessDeniedError: they have not shown that they may.
            InvalidDecision: somebody settled it meanwhile.
            StorageError: it cannot be recorded, and the channels stay closed.
        """
        config = Config.from_record(await self.store.config(seen.run_id))
        person = await self.approvers.proven_for(decider, f"settling run {seen.run_id}", control_report(config))
        return await lift(self.store, seen, person)

    async def keep(self, prefix: str, *, by: str, shared: bool) -> ProvenScript:
        """Keep the program of a run as an example for similar tasks of `by`, who has marked it as good.

        Raises:
            RunNotFoundError: no such run.
            InvalidRequestError: it did not succeed, or it is another person's.
            StorageError: it cannot be kept.
        """
        return await self.memory.keep(proven(await self.result(prefix), by, shared=shared))

    async def prunable(self, before: datetime, *, written: bool) -> Pruning:
        """Return which runs `prune` would remove."""
        return await prunable(self.store, before, written=written)

    async def prune(self, seen: Pruning) -> Pruning:
        """Remove the runs of `seen`, and return which went.

        Raises:
            StorageError: something cannot be removed.
        """
        return await prune(self.store, self._driver, seen)

    async def probe(self, config: Config) -> list[Probe]:
        """Try, with the engine and the broker of `config`, what must be refused and what is needed."""
        return await probe(self.store.home, self.equipment, config, self.approvers)

    async def recover(self) -> None:
        """Set right the runs whose driver died."""
        await recover(self.store, self._driver)

    async def _go_on(
        self, run_id: str, lock: RunLock, generator: CodeGenerator | None, decider: Decider, listener: Listener | None
    ) -> RunResult:
        try:
            decided = await self.store.decided(run_id)
            state = (await self.store.summary(run_id)).state
            if state == RUNNING:  # whoever took the decision up died with it
                await settle(self.store, self._driver, run_id)
            if state != RunStatus.AWAITING_APPROVAL or decided is None:
                lock.release()
                return await self.result(run_id)
            config = Config.from_record(await self.store.config(run_id))
            folder = self._folder(run_id)
            request = await asyncio.to_thread(folder.load_request)
            label = (await self.store.summary(run_id)).generator
            equipment = await self.equipment.of(config)
            rooms = self._rooms(folder, request, config, equipment, generator, label, listener)
            driver = await self._driver()
            place = (await driver.snapshot(run_id)).next
            if place == ("execute",) and not isinstance(decided.decision, Approve):
                await driver.back_to_card(run_id)
            step = "resume" if place == ("approve",) else "go on"
        except BaseException:
            lock.release()
            raise
        result = await driver.drive(rooms, lock, step, decide=None, decider=decider)
        return await self._follow_up(result, request, config)

    async def _follow_up(self, result: RunResult, request: PythonExecutionRequest, config: Config) -> RunResult:
        """Do what `control_system.on_failure` says, which the card has shown, and tell it in the notes of the result.

        Never after an unknown outcome, and never by itself after a crash: whoever drives the run does it.
        """
        policy = config.control_system.on_failure
        if policy == "keep" or not failed_after_writing(result) or is_restore(request):
            return result
        try:
            restoring = await self.restoring(result.run_id)
            if not restoring.channels:
                return with_note(result, "on_failure: nothing of it can be brought back")
            # The card has said that this would follow, so the approval of the run is the approval of this.
            by = f"{result.approver} (on_failure: restore)"
            known = (result.proof or "system").partition(" and ")[0]
            person = Person.model_validate({"name": by, "roles": (Role.APPROVER,), "proof": known})
            decider = Decider(by, person=person)
            decide = _yes if policy == "restore" else None
            follower = await self.restore(restoring, requester=result.requester, decide=decide, decider=decider)
        except PythonExecutorException as error:
            return with_note(result, f"on_failure: nothing was brought back: {error}")
        return with_note(result, followed_by(follower, restoring))

    async def _reserve(self, run_id: str | None) -> tuple[RunFolder, RunLock]:
        """Return the folder of a run that begins, and its lock, held; None: an id that is free.

        Raises:
            InvalidRequestError: there is a run of that id.
        """
        while True:
            folder = await self._in_thread(RunFolder.create, self.store.home, run_id or _new_run_id())
            lock = RunLock(folder.path)
            try:
                if not lock.acquire():
                    taken = f"run {run_id} is going on already"
                elif await self.store.has(folder.run_id):
                    taken = f"there is a run {run_id} already"
                else:
                    return folder, lock
            except BaseException:
                lock.release()
                raise
            lock.release()
            if run_id:
                raise InvalidRequestError(f"{taken}; take another id (LangGraph: thread_id)")

    def _rooms(
        self,
        folder: RunFolder,
        request: PythonExecutionRequest,
        config: Config,
        equipment: Equipment,
        generator: CodeGenerator | None,
        label: str,
        listener: Listener | None,
    ) -> Rooms:
        log = EventLog(folder.path, listener)
        return Rooms(
            run_id=folder.run_id,
            config=config,
            request=request,
            folder=folder,
            store=self.store,
            approvers=self.approvers,
            engine=equipment.engine,
            broker=equipment.broker,
            site=equipment.site,
            generator=lambda: generator or create_code_generator(config),
            generator_label=label,
            memory=self.memory,
            key=self._key,
            emit=log.append,
            flush=log.flush,
            turns=self.turns,
            in_thread=self._in_thread,
            recover=self.recover,
        )

    def _folder(self, run_id: str) -> RunFolder:
        return RunFolder(self.store.home, run_id)


def _yes(card: ApprovalCard) -> Approve:
    """Approve what the card of the failed run has said would follow at once."""
    return Approve(card.digest)


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
