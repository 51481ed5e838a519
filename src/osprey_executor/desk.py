"""The service as one person may use it. Every door for more than one person leads here: REST, web, MCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.access import may
from osprey_executor.errors import AccessDeniedError, InvalidDecision, RunNotFoundError
from osprey_executor.models import (
    Action,
    ApprovalCard,
    CardRecord,
    ChannelNow,
    Decision,
    Person,
    Probe,
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
)
from osprey_executor.models.events import Event
from osprey_executor.service import PythonExecutorService
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Desk:
    """What one person may do with the service.

    Every method raises `AccessDeniedError` where they may not do it, and `RunNotFoundError` for a run that they may not
    see, as if there were none.
    """

    service: PythonExecutorService
    person: Person

    def may(self, action: Action, owner: str | None = None) -> bool:
        """Tell whether the person may do something, to a run of `owner` or at all."""
        return may(self.person, action, owner)

    async def submit(self, request: PythonExecutionRequest, *, key: str | None = None) -> RunSummary:
        """Begin a run in the name of the person, whoever the request names, and return; it goes on by itself.

        Args:
            request: what they ask for.
            key: what they call it: with the same key no second run begins.

        Raises:
            PythonExecutorException: as `PythonExecutorService.begin`.
        """
        self._demand(Action.SUBMIT)
        return await self.service.begin(self._own(request), key=key)

    async def rehearse(self, request: PythonExecutionRequest) -> Rehearsal:
        """Rehearse a program, as `PythonExecutorService.rehearse` does.

        Raises:
            PythonExecutorException: as there.
        """
        self._demand(Action.SUBMIT)
        return await self.service.rehearse(self._own(request))

    async def runs(self, wanted: RunFilter | None = None, *, limit: int = 50, after: str = "") -> RunPage:
        """Return up to `limit` of the wanted runs that the person may see, as `PythonExecutorService.find_runs` does.

        Raises:
            InvalidRequestError: `after` is no cursor.
        """
        wanted = wanted or RunFilter()
        if not self._sees_all:
            self._demand(Action.SEE)
            if wanted.requester not in (None, self.person.name):
                return RunPage()
            wanted = wanted.model_copy(update={"requester": self.person.name})
        return await self.service.find_runs(wanted, limit=limit, after=after)

    async def run(self, run_id: str) -> RunSummary:
        """Return a run as lists show it."""
        return await self._run(run_id, Action.SEE)

    async def result(self, run_id: str) -> RunResult:
        """Return how a run ended, or that it waits.

        Raises:
            RunGoesOnError: it is going on.
        """
        return await self.service.result((await self._run(run_id, Action.SEE)).run_id)

    async def watch(self, run_id: str) -> AsyncGenerator[Event]:
        """Yield the events of a run from its beginning, as `PythonExecutorService.watch` does."""
        async with aclosing(self.events(run_id)) as events:
            async for _, event in events:
                yield event

    async def events(self, run_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Event]]:
        """Yield the numbered events of a run behind number `after`, as `PythonExecutorService.events` does."""
        run = await self._run(run_id, Action.SEE)
        async with aclosing(self.service.events(run.run_id, after)) as events:
            async for numbered in events:
                yield numbered

    async def files(self, run_id: str) -> dict[str, Path]:
        """Return the files that a run left, by the names under which `artifact` gives them.

        Raises:
            RunGoesOnError: it is going on.
        """
        return names_of_files(await self.result(run_id))

    async def artifact(self, run_id: str, name: str) -> Path:
        """Return the file of that name which a run left: an artifact, a figure, its notebook.

        Args:
            run_id: the run.
            name: one of `names_of_files`.

        Raises:
            RunNotFoundError: the run has no such file.
        """
        result = await self.result(run_id)
        path = names_of_files(result).get(name)
        if path is not None and not path.is_symlink() and path.is_file():
            return path
        raise RunNotFoundError(f"run {result.run_id} has no file {one_line(name, 80)!r}")

    async def pending(self, *, limit: int = 50, after: str = "") -> WaitingPage:
        """Return up to `limit` of the cards that wait and that the person may see, the oldest runs first.

        Raises:
            InvalidRequestError: `after` is no cursor.
        """
        self._demand(Action.SEE)
        requester = None if self._sees_all else self.person.name
        return await self.service.waiting(requester=requester, limit=limit, after=after)

    async def card(self, run_id: str) -> ApprovalCard:
        """Return the card that a run waits with.

        Raises:
            InvalidDecision: it does not wait.
        """
        card = await self.service.card((await self._run(run_id, Action.SEE)).run_id)
        await self.service.seen(card, self.person.name)
        return card

    async def in_the_way(self, card: ApprovalCard) -> tuple[str, ...]:
        """Return why the run of a card would not write if it were approved at this moment."""
        await self._run(card.run_id, Action.SEE)
        return await self.service.in_the_way(card)

    async def present(self, card: ApprovalCard) -> tuple[ChannelNow, ...]:
        """Return the channels of a card's plan as they are now, and which are other than the card shows."""
        await self._run(card.run_id, Action.SEE)
        return await self.service.present(card)

    async def cards(self, run_id: str) -> list[CardRecord]:
        """Return the cards that a run was asked about with, the oldest first, each with what became of it."""
        return await self.service.cards((await self._run(run_id, Action.SEE)).run_id)

    async def decide(self, run_id: str, decision: Decision, *, key: str | None = None) -> RunSummary:
        """Decide a run that waits, in the name of the person, and return; it goes on by itself.

        Args:
            run_id: the run.
            decision: what they decide.
            key: what they call this: with the same key it is decided once.

        Raises:
            PythonExecutorException: as `PythonExecutorService.begin_decision`, where nothing is decided.
        """
        run = await self._run(run_id, Action.DECIDE)
        return await self.service.begin_decision(run.run_id, decision, approver=self.person, key=key)

    async def cancel(self, run_id: str) -> RunResult:
        """End a run; one that has ended stays as it is."""
        return await self.service.cancel((await self._run(run_id, Action.CANCEL)).run_id)

    async def restoring(self, run_id: str) -> Restoring:
        """Look at what a restore of a run would bring back now."""
        return await self.service.restoring((await self._run(run_id, Action.RESTORE)).run_id)

    async def restore(self, seen: Restoring, *, key: str | None = None) -> RunSummary:
        """Begin the run that brings back what `restoring` has shown, in the name of the person; it asks like any other.

        Raises:
            PythonExecutorException: as `PythonExecutorService.begin_restore`, where it cannot begin.
        """
        run = await self._run(seen.run_id, Action.RESTORE)
        seen = seen.model_copy(update={"run_id": run.run_id})
        return await self.service.begin_restore(seen, requester=self.person.name, key=key)

    async def unsettled(self, run_id: str) -> Settlement:
        """Look at the channels that a run left without anyone knowing what became of its write."""
        return await self.service.unsettled((await self._run(run_id, Action.SETTLE)).run_id)

    async def settle(self, seen: Settlement) -> Settlement:
        """Let the channels of a run be written again, in the name of the person, who has looked at the machine.

        It is looked at once more: what goes into the record is never what somebody sends.

        Raises:
            InvalidDecision: it is not as they saw it, or somebody was first.
            StorageError: it cannot be recorded; the channels stay closed.
        """
        now = await self.unsettled(seen.run_id)
        if {one.number: one.outcome for one in now.writes} != {one.number: one.outcome for one in seen.writes}:
            raise InvalidDecision(f"the channels of run {now.run_id} are not as you saw them: look again")
        return await self.service.settle(now, by=self.person)

    async def open_ends(self) -> list[Unsettled]:
        """Return the writes that nobody knows the end of, of runs that the person may see, the oldest first."""
        found = await self.service.quarantine()
        owners = {run_id: (await self.service.summary(run_id)).requester for run_id in {one.run_id for one in found}}
        return [one for one in found if self.may(Action.SEE, owners[one.run_id])]

    async def writing(self) -> list[Writing]:
        """Return which runs may write at this moment, of those that the person may see."""
        return [one for one in await self.service.writing() if self.may(Action.SEE, one.run.requester)]

    async def stopped(self) -> str | None:
        """Return why no run may write, as `PythonExecutorService.stopped` does; everybody may know."""
        return await asyncio.to_thread(self.service.stopped)

    async def stop_writes(self, reason: str = "") -> bool:
        """Stop every write at once, in the name of the person; False: they were stopped before.

        Raises:
            StorageError: writes are not stopped.
        """
        self._demand(Action.STOP_WRITES)
        return await asyncio.to_thread(self.service.stop_writes, self.person.name, reason)

    async def allow_writes(self) -> str | None:
        """Allow writes again, in the name of the person, and return what the switch said; None: it was off.

        Raises:
            StorageError: they stay stopped.
        """
        self._demand(Action.RESUME_WRITES)
        return await asyncio.to_thread(self.service.allow_writes, self.person.name)

    async def probes(self) -> list[Probe]:
        """Try what must be refused and what is needed; for those who may see every run."""
        self._demand(Action.SEE, "")
        return await self.service.doctor()

    @property
    def _sees_all(self) -> bool:
        return self.may(Action.SEE, "")

    def _own(self, request: PythonExecutionRequest) -> PythonExecutionRequest:
        return request.model_copy(update={"requester": self.person.name})

    def _demand(self, action: Action, owner: str | None = None) -> None:
        if not self.may(action, owner):
            roles = ", ".join(sorted(self.person.roles)) or "none"
            raise AccessDeniedError(f"{one_line(self.person.name, 80)} may not {action} (roles: {roles})")

    async def _run(self, run_id: str, action: Action) -> RunSummary:
        """Return the run of that id, or of that beginning, once the person may do `action` to it."""
        hidden = RunNotFoundError(
            f"no run {one_line(run_id, 80)!r} that {one_line(self.person.name, 80)} may see: give its whole id"
        )
        try:
            run = await self.service.summary(run_id)
        except RunNotFoundError:
            # What it says names the runs of others that begin so, and tells what is hidden from what is not there.
            if self._sees_all:
                raise
            raise hidden from None
        if not self.may(Action.SEE, run.requester):
            raise hidden
        self._demand(action, run.requester)
        return run


def names_of_files(result: RunResult) -> dict[str, Path]:
    """Return the files that a run left, by the names under which doors give them: artifacts as the program named them,
    figures and the notebook by their file names where no artifact has the same.
    """
    others = (*result.figures, *((result.notebook_path,) if result.notebook_path else ()))
    named = {_below_artifacts(path, result.folder): path for path in result.artifacts}
    return {path.name: path for path in others} | named


def _below_artifacts(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).parts if path.is_relative_to(folder) else (path.name,)
    return "/".join(parts[parts.index("artifacts") + 1 :] if "artifacts" in parts[:-1] else parts)
