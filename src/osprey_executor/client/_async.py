"""The client for code that awaits."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from osprey_executor.client import _calls, _link
from osprey_executor.client._calls import Call
from osprey_executor.client._downloads import place_of, written
from osprey_executor.client._reading import PAUSE_SECONDS, Reading
from osprey_executor.errors import ServiceUnreachableError
from osprey_executor.models import (
    CardNow,
    Decision,
    FileEntry,
    Health,
    PythonExecutionRequest,
    Rehearsal,
    Restoring,
    RunFilter,
    RunPage,
    RunResult,
    RunSummary,
    Settlement,
    WaitingPage,
    WriteSwitch,
)
from osprey_executor.models.events import Event, Finished

T = TypeVar("T")


class AsyncClient:
    """A service over HTTP, in the name of whose token it is. An async context manager.

    Every method raises what the same call raises in Python (`AccessDeniedError`, `RunNotFoundError`, ...), and
    `ServiceUnreachableError` where no service answers. Paths in what it returns are those of the service's machine.

    Args:
        url: where it serves; None: `$OSPREY_EXECUTOR_URL`, or this machine's port 8420.
        token: None: `$OSPREY_EXECUTOR_TOKEN`.
        timeout: seconds for one answer.
        ca: certificates of authorities, PEM; None: those of the system.

    Raises:
        NotIdentifiedError: there is no token.
        InvalidRequestError: `url` is no address, or the token would pass a network in the clear.

    Example:
        ```python
        async with AsyncClient() as client:
            result = await client.run(PythonExecutionRequest(user_query="add", code="results = {'sum': 1 + 1}"))
        ```
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 60.0, ca: Path | None = None
    ) -> None:
        self._http = httpx.AsyncClient(**_link.settings(url, token, timeout, ca))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def health(self) -> Health:
        """Return who you are to the service, and how it is."""
        return await self._ask(_calls.health())

    async def submit(self, request: PythonExecutionRequest, *, key: str | None = None) -> RunSummary:
        """Begin a run in your name and return; it goes on by itself, to its end or to its card.

        Args:
            request: the task, or a program; inputs that are paths are read here. What it says of a requester is not
                sent.
            key: your name for this request: sent again with it within a week, no second run begins; None: a new one.
        """
        return await self._ask(_calls.submit(request, key or str(uuid.uuid4())))

    async def run(
        self,
        request: PythonExecutionRequest,
        *,
        key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as the other client has it
    ) -> RunResult:
        """Do as `submit` does and wait for the end of the run, or for its card.

        Raises:
            ExecutionTimeoutError: neither came within `timeout` seconds; the run goes on.
        """
        return await self.wait((await self.submit(request, key=key)).run_id, timeout=timeout)

    async def wait(self, run_id: str, *, timeout: float | None = None) -> RunResult:  # noqa: ASYNC109 - as the other client has it
        """Wait until a run has ended or waits for a person, and return how.

        Raises:
            ExecutionTimeoutError: neither came within `timeout` seconds; the run goes on.
        """
        async with aclosing(self._read(Reading(run_id, timeout=timeout))) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.result
        raise ServiceUnreachableError(f"the events of run {run_id} have no end")

    def events(self, run_id: str, *, after: int = 0) -> AsyncGenerator[Event]:
        """Yield the events of a run from its beginning, as they come; the last one is `Finished`.

        A stream that breaks is taken up again behind the last event that came.

        Args:
            run_id: the run.
            after: how many events of its record are passed over.
        """
        return self._read(Reading(run_id, after))

    async def rehearse(self, request: PythonExecutionRequest) -> Rehearsal:
        """Run a program with its writes kept from the machine, and return its plan, without results."""
        return await self._ask(_calls.rehearse(request))

    async def runs(self, wanted: RunFilter | None = None, *, limit: int = 50, after: str = "") -> RunPage:
        """Return up to `limit` of the wanted runs that you may see, the newest first, behind the cursor `after`."""
        return await self._ask(_calls.runs(wanted, limit, after))

    async def summary(self, run_id: str) -> RunSummary:
        """Return where a run is."""
        return await self._ask(_calls.summary(run_id))

    async def result(self, run_id: str) -> RunResult:
        """Return how a run ended, or that it waits.

        Raises:
            RunGoesOnError: neither yet.
        """
        return await self._ask(_calls.result(run_id))

    async def cancel(self, run_id: str) -> RunResult:
        """End a run; one that has ended stays as it is."""
        return await self._ask(_calls.cancel(run_id))

    async def files(self, run_id: str) -> list[FileEntry]:
        """Return the names and sizes of the files that a run left."""
        return await self._ask(_calls.files(run_id))

    async def download(self, run_id: str, name: str, folder: Path) -> Path:
        """Write a file that a run left below `folder`, by its own name, and return its path.

        What stands in it is a claim of the program.

        Raises:
            InvalidRequestError: the name leads out of the folder, the file is there already, or cannot be written.
        """
        path = place_of(folder, name)
        try:
            async with self._http.stream("GET", _calls.file_path(run_id, name)) as response:
                if not response.is_success:
                    await response.aread()
                    _link.check(response)
                with written(path) as file:
                    async for piece in response.aiter_bytes():
                        file.write(piece)
        except httpx.HTTPError as error:
            raise _link.unreachable(error, self._http.base_url) from error
        return path

    async def pending(self, *, limit: int = 50, after: str = "") -> WaitingPage:
        """Return up to `limit` of the cards that wait and that you may see, the oldest runs first."""
        return await self._ask(_calls.pending(limit, after))

    async def card(self, run_id: str) -> CardNow:
        """Return the card that a run waits with.

        Raises:
            InvalidDecision: it does not wait.
        """
        return await self._ask(_calls.card(run_id))

    async def decide(self, run_id: str, decision: Decision, *, key: str | None = None) -> RunSummary:
        """Decide about a run that waits and return; it goes on by itself.

        Raises:
            InvalidDecision: it does not wait, somebody was first, or the digest is another card's.
        """
        return await self._ask(_calls.decide(run_id, decision, key or str(uuid.uuid4())))

    async def restoring(self, run_id: str) -> Restoring:
        """Return what a restore of a run would bring back now."""
        return await self._ask(_calls.restoring(run_id))

    async def restore(self, seen: Restoring, *, key: str | None = None) -> RunSummary:
        """Begin the run that brings back what `restoring` has shown; it asks like any other that writes."""
        return await self._ask(_calls.restore(seen, key or str(uuid.uuid4())))

    async def unsettled(self, run_id: str) -> Settlement:
        """Return the channels that a run left without anyone knowing what became of its write."""
        return await self._ask(_calls.unsettled(run_id))

    async def settle(self, seen: Settlement) -> Settlement:
        """Let the channels that `unsettled` has shown be written again: you have looked at the machine."""
        return await self._ask(_calls.settle(seen))

    async def writes(self) -> WriteSwitch:
        """Return whether all writes are stopped by a switch."""
        return await self._ask(_calls.writes())

    async def stop_writes(self, reason: str = "") -> WriteSwitch:
        """Stop every write of every process that uses the state folder of the service."""
        return await self._ask(_calls.stop_writes(reason))

    async def allow_writes(self) -> WriteSwitch:
        """Allow writes again; every write still needs its approval."""
        return await self._ask(_calls.allow_writes())

    async def _ask(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(**_link.sent(call))
        except httpx.HTTPError as error:
            raise _link.unreachable(error, self._http.base_url) from error
        return _link.read(call, response)

    async def _read(self, reading: Reading) -> AsyncGenerator[Event]:
        while True:
            failed = None
            try:
                async with self._http.stream(**reading.request()) as response:
                    if not response.is_success:
                        await response.aread()
                        _link.check(response)
                    async for line in response.aiter_lines():
                        if (event := reading.line(line)) is not None:
                            yield event
                            if isinstance(event, Finished):
                                return
            except httpx.HTTPError as error:
                failed = error
            reading.broken(failed, self._http.base_url)
            await asyncio.sleep(PAUSE_SECONDS)
