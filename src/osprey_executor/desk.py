"""The service as one person may use it. Every door for more than one person leads here: REST, web, MCP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.access import may
from osprey_executor.errors import AccessDeniedError, RunNotFoundError
from osprey_executor.models import (
    Action,
    ApprovalCard,
    Decision,
    Person,
    PythonExecutionRequest,
    Rehearsal,
    Restoring,
    RunResult,
    RunSummary,
    Settlement,
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

    async def submit(self, request: PythonExecutionRequest) -> RunSummary:
        """Begin a run in the name of the person, whoever the request names, and return; it goes on by itself.

        Raises:
            PythonExecutorException: as `PythonExecutorService.begin`.
        """
        self._demand(Action.SUBMIT)
        return await self.service.begin(self._own(request))

    async def rehearse(self, request: PythonExecutionRequest) -> Rehearsal:
        """Rehearse a program, as `PythonExecutorService.rehearse` does.

        Raises:
            PythonExecutorException: as there.
        """
        self._demand(Action.SUBMIT)
        return await self.service.rehearse(self._own(request))

    async def runs(self, limit: int = 50) -> list[RunSummary]:
        """Return the runs that the person may see, the newest first."""
        owner = None if self.may(Action.SEE, "") else self.person.name
        return [run for run in await self.service.runs(limit) if owner is None or run.requester == owner]

    async def run(self, run_id: str) -> RunSummary:
        """Return a run as lists show it."""
        return await self._run(run_id, Action.SEE)

    async def result(self, run_id: str) -> RunResult:
        """Return how a run ended, or that it waits.

        Raises:
            InvalidRequestError: it is going on.
        """
        return await self.service.result((await self._run(run_id, Action.SEE)).run_id)

    async def watch(self, run_id: str) -> AsyncGenerator[Event]:
        """Yield the events of a run from its beginning, as `PythonExecutorService.watch` does."""
        run = await self._run(run_id, Action.SEE)
        async for event in self.service.watch(run.run_id):
            yield event

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

    async def pending(self) -> list[ApprovalCard]:
        """Return the cards that wait and that the person may see, the oldest first."""
        return [card for card in await self.service.pending() if self.may(Action.SEE, card.requester)]

    async def card(self, run_id: str) -> ApprovalCard:
        """Return the card that a run waits with.

        Raises:
            InvalidDecision: it does not wait.
        """
        return await self.service.card((await self._run(run_id, Action.SEE)).run_id)

    async def in_the_way(self, card: ApprovalCard) -> tuple[str, ...]:
        """Return why the run of a card would not write if it were approved at this moment."""
        await self._run(card.run_id, Action.SEE)
        return await self.service.in_the_way(card)

    async def decide(self, run_id: str, decision: Decision) -> RunSummary:
        """Decide a run that waits, in the name of the person, and return; it goes on by itself.

        Raises:
            PythonExecutorException: as `PythonExecutorService.decide`, where nothing is decided.
        """
        run = await self._run(run_id, Action.DECIDE)
        return await self.service.begin_decision(run.run_id, decision, approver=self.person.name)

    async def cancel(self, run_id: str) -> RunResult:
        """End a run; one that has ended stays as it is."""
        return await self.service.cancel((await self._run(run_id, Action.CANCEL)).run_id)

    async def restoring(self, run_id: str) -> Restoring:
        """Look at what a restore of a run would bring back now."""
        return await self.service.restoring((await self._run(run_id, Action.RESTORE)).run_id)

    async def unsettled(self, run_id: str) -> Settlement:
        """Look at the channels that a run left without anyone knowing what became of its write."""
        return await self.service.unsettled((await self._run(run_id, Action.SETTLE)).run_id)

    async def settle(self, seen: Settlement) -> Settlement:
        """Let the channels of a run be written again, in the name of the person, who has looked at the machine."""
        await self._run(seen.run_id, Action.SETTLE)
        return await self.service.settle(seen, by=self.person.name)

    def _own(self, request: PythonExecutionRequest) -> PythonExecutionRequest:
        return request.model_copy(update={"requester": self.person.name})

    def _demand(self, action: Action, owner: str | None = None) -> None:
        if not self.may(action, owner):
            roles = ", ".join(sorted(self.person.roles)) or "none"
            raise AccessDeniedError(f"{one_line(self.person.name, 80)} may not {action} (roles: {roles})")

    async def _run(self, run_id: str, action: Action) -> RunSummary:
        """Return the run of that id, or of that beginning, once the person may do `action` to it."""
        run = await self.service.summary(run_id)
        if not self.may(Action.SEE, run.requester):
            raise RunNotFoundError(f"no run {one_line(run_id, 80)!r} that {one_line(self.person.name, 80)} may see")
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
