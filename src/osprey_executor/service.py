"""The one facade of the service. Light to import: the pipeline is loaded when a service is opened."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from osprey_executor.config import Config, config_from, state_folder
from osprey_executor.errors import StorageError
from osprey_executor.models import (
    RUNNING,
    ApprovalCard,
    Backup,
    CardRecord,
    ChannelNow,
    Credential,
    Decision,
    Outcome,
    Person,
    Probe,
    ProvenScript,
    Pruning,
    PythonExecutionRequest,
    Rehearsal,
    Restoring,
    RunFilter,
    RunPage,
    RunResult,
    RunSummary,
    Settlement,
    Unsettled,
    WaitingPage,
    Writing,
    parse_decision,
    system_user,
)
from osprey_executor.models.events import Event, Finished

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import Command

    from osprey_executor.access import Decider, Identity, People, system_person
    from osprey_executor.analysis import RULES, Gates, analysis_problem, analyze, site_of
    from osprey_executor.audit import exported, verify
    from osprey_executor.control import (
        SimulatorConnector,
        StopSwitch,
        available_archivers,
        available_connectors,
        check_limits,
        control_problem,
        limits_problem,
        unproven_problem,
    )
    from osprey_executor.execution import engine_problem
    from osprey_executor.execution.container import ContainerLimits, OwnContainer, start_container
    from osprey_executor.generation import (
        CodeGenerator,
        available_generators,
        check_generator,
        claude_generator_config,
        generator_faults,
    )
    from osprey_executor.memory import Memory
    from osprey_executor.pipeline import Decide, Executor
    from osprey_executor.results import result_to_json


__all__ = [
    "RULES",
    "ContainerLimits",
    "Gates",
    "Identity",
    "OwnContainer",
    "People",
    "PythonExecutorService",
    "SimulatorConnector",
    "StopSwitch",
    "analysis_problem",
    "analyze",
    "available_archivers",
    "available_connectors",
    "available_generators",
    "check_generator",
    "check_limits",
    "claude_generator_config",
    "control_problem",
    "engine_problem",
    "exported",
    "generator_faults",
    "limits_problem",
    "result_to_json",
    "site_of",
    "start_container",
    "system_person",
    "unproven_problem",
    "verify",
]

_DOORS = {
    "RULES": "analysis",
    "Identity": "access",
    "People": "access",
    "ContainerLimits": "execution.container",
    "OwnContainer": "execution.container",
    "StopSwitch": "control",
    "start_container": "execution.container",
    "exported": "audit",
    "verify": "audit",
    "Gates": "analysis",
    "analysis_problem": "analysis",
    "analyze": "analysis",
    "site_of": "analysis",
    "system_person": "access",
    "SimulatorConnector": "control",
    "available_archivers": "control",
    "available_connectors": "control",
    "available_generators": "generation",
    "check_generator": "generation",
    "check_limits": "control",
    "claude_generator_config": "generation",
    "control_problem": "control",
    "engine_problem": "execution",
    "generator_faults": "generation",
    "limits_problem": "control",
    "result_to_json": "results",
    "unproven_problem": "control",
}
"""What interfaces need of the rooms besides the service, loaded at its first use."""


def __getattr__(name: str) -> object:
    if name in _DOORS:
        return getattr(importlib.import_module(f"osprey_executor.{_DOORS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_MOST_SEEN = 10_000


class PythonExecutorService:
    """Turns tasks into code that is analysed, approved, executed and recorded.

    An async context manager. One service serves any number of runs at once; any number of services, in any number of
    processes, may share a state folder.

    Example:
        ```python
        async with PythonExecutorService.from_config() as service:
            result = await service.run(PythonExecutionRequest(user_query="add", code="results = {'sum': 1 + 1}"))
        ```
    """

    def __init__(self, config: Config, *, generator: CodeGenerator | None = None, home: Path | None = None) -> None:
        self.config = config
        self.home = home or state_folder()
        self._generator = generator
        self._stack: AsyncExitStack | None = None
        self._opened: Executor | None = None
        self._begun: set[asyncio.Task[RunResult]] = set()
        self._seen: set[tuple[str, str]] = set()

    @classmethod
    def from_config(
        cls,
        config: Config | Path | str | Mapping[str, Any] | None = None,
        *,
        generator: CodeGenerator | None = None,
        home: Path | None = None,
    ) -> Self:
        """Return a service, to be opened with `async with`.

        Args:
            config: a configuration, the path of its file, or its content; None: searched for as `config check` tells.
            generator: used instead of the one that the configuration names.
            home: the state folder; None: `$OSPREY_EXECUTOR_HOME` or the user's own.

        Raises:
            ConfigurationError: the configuration cannot be used.
        """
        return cls(config_from(config), generator=generator, home=home)

    async def __aenter__(self) -> Self:
        from osprey_executor.pipeline import Executor

        async with AsyncExitStack() as stack:
            self._opened = await stack.enter_async_context(Executor.open(self.home, self.config))
            if self.config.notify.webhooks:
                from osprey_executor.pipeline.herald import herald

                await stack.enter_async_context(herald(self._opened.store, self.config.notify))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = None
        if self._stack:
            await self._stack.__aexit__(kind, error, trace)

    async def run(
        self,
        request: PythonExecutionRequest,
        *,
        decide: Decide | None = None,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> RunResult:
        """Run a request to its end, or until it waits for a person. Never raises for what the code did.

        Args:
            request: the task, or a program of one's own.
            decide: is shown the card where a person must be asked; None: the run is left waiting.
            approver: in whose name `decide` decides; default: the user of the system.
            credential: the token of whoever decides, or what asks for it where one is needed.

        Raises:
            EngineUnavailableError: the engine cannot give what the configuration demands.
            ServiceBusyError: as many runs as the configuration allows are on their way.
            ConfigurationError: no generator, or the configuration cannot be used.
            StorageError: the state folder cannot be used.
        """
        return await self._executor.start(
            request, self.config, generator=self._generator, decide=decide, decider=_decider(approver, credential)
        )

    def run_sync(
        self,
        request: PythonExecutionRequest,
        *,
        decide: Decide | None = None,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> RunResult:
        """Do as `run` does, from code that is not async, also inside a running event loop; opens a service of its own.

        Raises:
            PythonExecutorException: as `run`.
        """

        async def once() -> RunResult:
            async with type(self)(self.config, generator=self._generator, home=self.home) as service:
                return await service.run(request, decide=decide, approver=approver, credential=credential)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, once()).result()

    def stream(
        self,
        request: PythonExecutionRequest,
        *,
        decide: Decide | None = None,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> AsyncGenerator[Event]:
        """Run a request and yield what happens; the last event is `Finished`. Leaving the loop cancels the run.

        Raises:
            PythonExecutorException: as `run`.
        """

        def begin(listener: Callable[[Event], None]) -> Any:
            return self._executor.start(
                request,
                self.config,
                generator=self._generator,
                decide=decide,
                decider=_decider(approver, credential),
                listener=listener,
            )

        return _stream(begin)

    async def begin(self, request: PythonExecutionRequest, *, key: str | None = None) -> RunSummary:
        """Begin a run and return; it goes on by itself, for as long as this service is open, to its end or its card.

        Args:
            request: the task, or a program of one's own.
            key: what its requester calls this request; asked again with the same key within a week, in whichever
                process, no second run begins, and the answer is the same.

        Raises:
            InvalidRequestError: the key stands for another request.
            PythonExecutorException: as `run`, where the run cannot begin.
        """
        from osprey_executor.pipeline.once import begun_once

        def begin(run_id: str | None) -> Coroutine[Any, Any, RunSummary]:
            return self._begin(
                lambda heard: self._executor.start(
                    request,
                    self.config,
                    generator=self._generator,
                    run_id=run_id,
                    decider=_decider(None, None),
                    listener=heard,
                )
            )

        return await begun_once(self._executor.store, begin, request, person=request.requester, key=key)

    async def begin_restore(
        self, restoring: Restoring, *, requester: str | None = None, key: str | None = None
    ) -> RunSummary:
        """Begin to bring back what `restoring` shows, as `restore` does, and return; it goes on as in `begin`.

        Raises:
            InvalidRequestError: the key stands for another request.
            PythonExecutorException: as `restore`, where the run cannot begin.
        """
        from osprey_executor.pipeline.once import begun_once

        asks = requester or system_user()

        def begin(run_id: str | None) -> Coroutine[Any, Any, RunSummary]:
            return self._begin(
                lambda heard: self._executor.restore(
                    restoring, requester=asks, run_id=run_id, decider=_decider(None, None), listener=heard
                )
            )

        return await begun_once(self._executor.store, begin, restoring, person=asks, key=key)

    async def begin_decision(
        self,
        run_id: str,
        decision: Decision,
        *,
        approver: str | Person | None = None,
        credential: Credential | None = None,
        key: str | None = None,
    ) -> RunSummary:
        """Decide a run that waits and return when that is recorded; the run goes on as in `begin`.

        Args:
            run_id: the id of the run, or the beginning of it.
            decision: `Approve`, `Reject` or `Edit`.
            approver: who decides; default: the user of the system. A `Person` has been identified by a door.
            credential: their token, or what asks for it where one is needed.
            key: as in `begin`.

        Raises:
            InvalidRequestError: the key stands for another request.
            PythonExecutorException: as `decide`, where nothing is decided.
        """
        from osprey_executor.pipeline.once import decided_once

        whole = await self._executor.store.find(run_id)
        decision, decider = parse_decision(decision), _decider(approver, credential)

        async def decide() -> RunSummary:
            recorded: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            deciding = self._executor.decide(
                whole, decision, decider=decider, generator=self._generator, recorded=lambda: recorded.set_result(whole)
            )
            return await self._executor.store.summary(await self._by_itself(deciding, recorded))

        return await decided_once(self._executor.store, decide, whole, decision, person=decider.name, key=key)

    async def decide(
        self,
        run_id: str,
        decision: Decision,
        *,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> RunResult:
        """Decide a run that waits, and see it to its end or to the next card.

        The run executes in the process that waits for it if there is one, else here, always with the configuration
        that was stored with it.

        Args:
            run_id: the id of the run, or the beginning of it.
            decision: `Approve`, `Reject` or `Edit`.
            approver: who decides; default: the user of the system. A `Person` has been identified by a door.
            credential: their token, or what asks for it where one is needed.

        Raises:
            RunNotFoundError: no such run.
            InvalidDecision: nothing waits, somebody was first, or the digest is another card's.
            AccessDeniedError: who decides has not shown that they may; nothing is decided.
            ServiceBusyError: it cannot be executed now; nothing is decided, and the run still waits.
        """
        return await self._executor.decide(
            run_id, parse_decision(decision), decider=_decider(approver, credential), generator=self._generator
        )

    def decide_stream(
        self,
        run_id: str,
        decision: Decision,
        *,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> AsyncGenerator[Event]:
        """Do as `decide` does and yield what happens; the last event is `Finished`.

        Raises:
            PythonExecutorException: as `decide`.
        """

        def begin(listener: Callable[[Event], None]) -> Any:
            return self._executor.decide(
                run_id,
                parse_decision(decision),
                decider=_decider(approver, credential),
                generator=self._generator,
                listener=listener,
            )

        return _stream(begin)

    async def ainvoke(
        self, request: PythonExecutionRequest | Mapping[str, Any] | Command[Any], config: RunnableConfig
    ) -> dict[str, Any]:
        """Run or resume as a LangGraph graph does; `thread_id` is the run id.

        Args:
            request: a request or its fields to begin, `Command(resume=decision)` to go on. The decision is an object,
                its wire form, or `{"approved": true | false}` with a real boolean.
            config: with `configurable.thread_id`.

        Returns:
            The state of the run, with `__interrupt__` where it waits for a person, and `result`.

        Raises:
            RunNotFoundError: resumed, but there is no run of that id.
            InvalidDecision: the resume value is not a decision, or the run does not wait for one.
        """
        from langgraph.types import Command

        run_id = str(config.get("configurable", {}).get("thread_id") or "") or None
        if isinstance(request, Command):
            card = await self._executor.pending_card(run_id or "")
            result = await self.decide(card.run_id, parse_decision(request.resume, digest=card.digest))
        else:
            asked = request if isinstance(request, PythonExecutionRequest) else PythonExecutionRequest(**request)
            result = await self._executor.start(
                asked, self.config, generator=self._generator, run_id=run_id, decider=_decider(None, None)
            )
        return {**await self._executor.graph_state(result.run_id), "result": result}

    async def pending(self) -> list[ApprovalCard]:
        """Return the cards that wait for a person, the oldest first."""
        return await self._executor.store.pending()

    async def waiting(self, *, requester: str | None = None, limit: int = 50, after: str = "") -> WaitingPage:
        """Return up to `limit` of the cards that wait, as lists show them, the oldest runs first.

        Args:
            requester: of whose runs; None: of all.
            limit: how many at most.
            after: the `next` of the page before; empty: from the beginning.

        Raises:
            InvalidRequestError: that is no cursor.
        """
        return await self._executor.store.waiting(requester, limit=limit, after=after)

    async def card(self, run_id: str) -> ApprovalCard:
        """Return the card that a run waits with.

        Raises:
            RunNotFoundError: no such run.
            InvalidDecision: it does not wait.
        """
        return await self._executor.card(run_id)

    async def seen(self, card: ApprovalCard, by: str) -> None:
        """Note in the audit trail that somebody has looked at a card; once, however often they look."""
        if (card.digest, by) not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add((card.digest, by))
            trail = self._executor.store.trail
            await asyncio.to_thread(trail.note, "card shown", run=card.run_id, digest=card.digest, to=by)

    async def in_the_way(self, card: ApprovalCard) -> tuple[str, ...]:
        """Return why its run would not write if the card were approved at this moment; nothing: it would.

        The kill switch and the stop channel are looked at, which runs hold the machine, and what is in quarantine.

        Raises:
            RunNotFoundError: no such run.
        """
        return await self._executor.in_the_way(card)

    async def present(self, card: ApprovalCard) -> tuple[ChannelNow, ...]:
        """Return the channels of a card's plan as they are now, and which are other than the card shows.

        Raises:
            PythonExecutorException: the control system of its run cannot be had.
        """
        return await self._executor.present(card)

    async def cards(self, run_id: str) -> list[CardRecord]:
        """Return the cards that a run was asked about with, the oldest first, each with what became of it.

        Raises:
            RunNotFoundError: no such run.
        """
        return await self._executor.store.cards(await self._executor.store.find(run_id))

    async def writing(self) -> list[Writing]:
        """Return which runs may write at this moment, in whichever process, with the last of their writes."""
        from osprey_executor.pipeline.looking import writing

        return await writing(self._executor.store)

    async def quarantine(self) -> list[Unsettled]:
        """Return every write that nobody knows the end of and nobody has settled, the oldest first."""
        return await self._executor.store.quarantine()

    async def runs(self, limit: int = 50) -> list[RunSummary]:
        """Return the runs of the state folder, the newest first."""
        return list((await self.find_runs(limit=limit)).runs)

    async def find_runs(self, wanted: RunFilter | None = None, *, limit: int = 50, after: str = "") -> RunPage:
        """Return up to `limit` runs, the newest first.

        Args:
            wanted: which; None: all.
            limit: how many at most.
            after: the `next` of the page before; empty: from the newest on.

        Raises:
            InvalidRequestError: that is no cursor.
        """
        with contextlib.suppress(StorageError):  # a full disk must not hide what happened
            await self._executor.recover()
        return await self._executor.store.page(wanted or RunFilter(), limit, after)

    async def going_on(self) -> int:
        """Return how many runs are going on, in all processes that use the state folder."""
        return await self._executor.store.count(RUNNING)

    async def summary(self, run_id: str) -> RunSummary:
        """Return a run as lists show it; `run_id` may be the beginning of its id.

        Raises:
            RunNotFoundError: no such run.
        """
        return await self._executor.store.summary(await self._executor.store.find(run_id))

    async def result(self, run_id: str) -> RunResult:
        """Return how a run ended, or that it waits.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it is going on.
        """
        return await self._executor.result(run_id)

    def watch(self, run_id: str) -> AsyncGenerator[Event]:
        """Yield the events of a run from its beginning, as they come, until it ends or waits and nobody drives it.

        Raises:
            RunNotFoundError: no such run.
        """
        return _unnumbered(self.events(run_id))

    def events(self, run_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Event]]:
        """Do as `watch` does, from the event behind number `after` on; each comes with its number, from 1.

        `Finished`, which stands in no record, comes with the number of the last one before it.

        Raises:
            RunNotFoundError: no such run.
        """
        return self._executor.events(run_id, after)

    async def cancel(self, run_id: str) -> RunResult:
        """End a run, in whichever process it is; one that has ended stays as it is.

        Raises:
            RunNotFoundError: no such run.
        """
        return await self._executor.cancel(run_id)

    async def replay(self, run_id: str) -> Outcome:
        """Execute the program of a run again, with reads from the record and writes that change nothing.

        Raises:
            RunNotFoundError: no such run.
            InvalidRequestError: it has executed nothing that could be replayed.
        """
        return await self._executor.replay(run_id)

    async def restoring(self, run_id: str) -> Restoring:
        """Look at what a restore of a run would bring back now, and what would be left, each with its reason.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it is going on.
        """
        return await self._executor.restoring(run_id)

    async def restore(
        self,
        restoring: Restoring,
        *,
        decide: Decide | None = None,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> RunResult:
        """Bring back what `restoring` shows, by a run of its own: rehearsed, asked about, and recorded like any other.

        Args:
            restoring: from `restoring()`; what has changed since is a conflict.
            decide: is shown its card; None: the run is left waiting.
            approver: in whose name `decide` decides; default: the user of the system.
            credential: the token of whoever decides, or what asks for it where one is needed.

        Raises:
            InvalidRequestError: there is nothing to bring back.
            WriteRefused: writes are stopped.
        """
        return await self._executor.restore(
            restoring, requester=system_user(), decide=decide, decider=_decider(approver, credential)
        )

    def restore_stream(
        self,
        restoring: Restoring,
        *,
        decide: Decide | None = None,
        approver: str | Person | None = None,
        credential: Credential | None = None,
    ) -> AsyncGenerator[Event]:
        """Do as `restore` does and yield what happens; the last event is `Finished`.

        Raises:
            PythonExecutorException: as `restore`.
        """

        def begin(listener: Callable[[Event], None]) -> Any:
            return self._executor.restore(
                restoring,
                requester=system_user(),
                decide=decide,
                decider=_decider(approver, credential),
                listener=listener,
            )

        return _stream(begin)

    async def rehearse(self, request: PythonExecutionRequest) -> Rehearsal:
        """Run a program with live reads and with writes that are kept from the machine, and return its plan.

        Nobody is asked, no model is called, and it is no run: its output lies in a folder of its own.

        Args:
            request: with `code`.

        Raises:
            InvalidRequestError: it brings no code.
            PolicyDeniedError: the site's policy denies the code.
            EngineUnavailableError: the containment is not proven next to a real machine, or there is no engine.
        """
        return await self._executor.rehearse(request, self.config)

    async def unsettled(self, run_id: str) -> Settlement:
        """Look at the channels that a run left without anyone knowing what became of its write.

        Returns:
            With the value of each as it is now; without writes where nothing is to be settled.

        Raises:
            RunNotFoundError: no such run.
            RunGoesOnError: it is going on.
        """
        return await self._executor.unsettled(run_id)

    async def settle(
        self, seen: Settlement, *, by: str | Person | None = None, credential: Credential | None = None
    ) -> Settlement:
        """Let the channels of a run be written again, because somebody has looked at the machine.

        Args:
            seen: what `unsettled` has shown to them.
            by: who looked; default: the user of the system.
            credential: their token, or what asks for it where one is needed.

        Raises:
            RunNotFoundError: no such run.
            AccessDeniedError: they have not shown that they may.
            InvalidDecision: somebody was first.
            StorageError: it cannot be recorded; the channels stay closed.
        """
        return await self._executor.settle(seen, decider=_decider(by, credential))

    @property
    def memory(self) -> Memory:
        """The notes and kept programs of the state folder: `await service.memory.add("our BPMs are in mm")`."""
        return self._executor.memory

    async def keep(self, run_id: str, *, by: str | None = None, shared: bool = False) -> ProvenScript:
        """Keep the program of a run as an example for similar tasks, because a person has found it good.

        It is an example and no grant: what a generator makes of it is analysed and asked about like any code.

        Args:
            run_id: a run of `by` that succeeded, or the beginning of its id.
            by: who has looked at it; default: the user of the system.
            shared: whether everybody's tasks are given it, or those of `by` alone.

        Raises:
            RunNotFoundError: no such run.
            InvalidRequestError: it did not succeed, or it is another person's.
            StorageError: it cannot be kept.
        """
        return await self._executor.keep(run_id, by=by or system_user(), shared=shared)

    async def prunable(self, before: datetime, *, written: bool = False) -> Pruning:
        """Return which runs of the past `prune` would remove; nothing is removed.

        Args:
            before: they had ended by then.
            written: also those that wrote to the machine. Those of which a write has no known end never go.
        """
        return await self._executor.prunable(before, written=written)

    async def prune(self, seen: Pruning) -> Pruning:
        """Remove the runs that `prunable` has shown, with all that they left, and return which went.

        Raises:
            StorageError: something cannot be removed; what went before is gone.
        """
        return await self._executor.prune(seen)

    async def backup(self, folder: Path) -> Backup:
        """Copy the state folder, which may be in use, into a new folder that is a state folder like any other then.

        Raises:
            InvalidRequestError: there is something at that place already, or it lies inside the state folder.
            StorageError: it cannot be copied.
        """
        from osprey_executor.pipeline.backup import backup

        return await asyncio.to_thread(backup, self.home, folder)

    def identity(self, *, own_token: str | None = None) -> Identity:
        """Return what tells doors over HTTP who asks.

        Args:
            own_token: lets in who started this process, as the user of the system; None: nobody so.
        """
        from osprey_executor.access import Identity, People
        from osprey_executor.audit import Trail

        audit = self.config.audit
        trail = Trail(self.home, audit.heads, audit.interval)
        return Identity(People(self.home), self.config.access, trail, own_token=own_token)

    def stopped(self) -> str | None:
        """Return by which switch and why no run may write; None: none is on. A stop *channel* is not looked at."""
        from osprey_executor.control import StopSwitch

        return StopSwitch(self.home, self.config.control_system.stop_file).on()

    def stop_writes(self, by: str, reason: str = "") -> bool:
        """Stop every write of every process that uses the state folder; False: they were stopped before.

        Raises:
            StorageError: writes are not stopped.
        """
        from osprey_executor.control import StopSwitch

        return StopSwitch(self.home).stop(by, reason)

    def allow_writes(self, by: str) -> str | None:
        """Allow again what `stop_writes` stopped, and return what it said; None: they were not stopped.

        Raises:
            StorageError: they stay stopped.
        """
        from osprey_executor.control import StopSwitch

        return StopSwitch(self.home).release(by)

    async def doctor(self) -> list[Probe]:
        """Try what must be refused and what is needed, and return what was seen."""
        return await self._executor.probe(self.config)

    async def _begin(self, start: Callable[[Callable[[Event], None]], Coroutine[Any, Any, RunResult]]) -> RunSummary:
        began: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def heard(event: Event) -> None:
            if not began.done():
                began.set_result(event.run_id)

        return await self._executor.store.summary(await self._by_itself(start(heard), began))

    async def _by_itself(self, work: Coroutine[Any, Any, RunResult], told: asyncio.Future[str]) -> str:
        """Let a run go on in a task of its own, and return its id once it is `told`; what ends it before, is raised."""
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
        return told.result() if told.done() else task.result().run_id

    def _ended(self, task: asyncio.Task[RunResult]) -> None:
        self._begun.discard(task)
        if not task.cancelled():
            task.exception()  # it stands in the record of the run, or was raised before there was one

    @property
    def _executor(self) -> Executor:
        if self._opened is None:
            raise RuntimeError(
                "the service is not open: use `async with PythonExecutorService.from_config() as service`"
            )
        return self._opened


async def _unnumbered(events: AsyncGenerator[tuple[int, Event]]) -> AsyncGenerator[Event]:
    async with contextlib.aclosing(events):
        async for _, event in events:
            yield event


def _decider(approver: str | Person | None, credential: Credential | None) -> Decider:
    from osprey_executor.access import Decider

    return Decider.of(approver, credential)


async def _stream(begin: Callable[[Callable[[Event], None]], Any]) -> AsyncGenerator[Event]:
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    work: asyncio.Task[RunResult] = asyncio.ensure_future(begin(queue.put_nowait))
    work.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        result = work.result()
        yield Finished(run_id=result.run_id, result=result)
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await work
