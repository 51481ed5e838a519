"""One run of one program: start, listen, end, collect."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from osprey_executor.errors import EngineError, InvalidRequestError, ResultsError
from osprey_executor.execution._events import EngineEvent, OutputChunk
from osprey_executor.execution.guest_link import GuestLink, GuestReport
from osprey_executor.execution.local._collect import Collected, collect, is_untouched, why_not
from osprey_executor.execution.local._enforcement import Enforced, enforced
from osprey_executor.execution.local._gateways import GatewayPool, RunGateways
from osprey_executor.execution.local._outcome import Case, Cut, judge
from osprey_executor.execution.local._output import Capture
from osprey_executor.execution.local._sandbox import Ending, Job, LaunchError, NeverBegan, Running, Sandbox
from osprey_executor.execution.local._script import let_go
from osprey_executor.execution.local._staging import Staged, source_of
from osprey_executor.models import ControlSession, IsolationReport, Limits, Outcome, Program, Usage
from osprey_executor.patience import uninterrupted
from osprey_executor.text import one_line

_DRAIN = 5.0
"""Seconds for what is left in the pipes after every process is gone."""
_LINK_DRAIN = 15.0
"""Seconds for a write to the machine that was under way to be confirmed."""


@dataclass
class Run:
    """A program, where it runs, and what it may use."""

    program: Program
    limits: Limits
    sandbox: Sandbox
    isolation: IsolationReport
    control: ControlSession | None
    on_event: Callable[[EngineEvent], None] | None
    turn: asyncio.Lock
    """Of this engine: a start keeps the event loop for as long as a fork takes, and between two it must come round."""
    gateways: GatewayPool | None = None

    async def conduct(self, stage: Callable[[], Awaitable[Staged]], folder: Path) -> Outcome:
        """Run the program and leave its figures and artifacts in `folder`.

        Args:
            stage: writes the program and its inputs where a sandbox can show them, when that is needed.
            folder: need not exist, and comes to be when there is something to keep.

        Raises:
            EngineError: the sandbox or the link broke.
        """
        staged = await stage() if self.program.inputs else None
        job = Job(source_of(self.program), self.limits, staged, gateways=self._gateways())
        try:
            with contextlib.suppress(NeverBegan):  # a fork server that died takes its jails along
                async with self.turn:
                    await asyncio.sleep(0)
                    quick = self.sandbox.start_quickly(job)
                if quick is not None:
                    return await self._once(quick, job, folder)
            job = replace(job, staged=job.staged or await stage(), gateways=self._gateways())
            async with self.turn:
                await asyncio.sleep(0)
                running = self.sandbox.start(job)
            return await self._once(running, job, folder)
        except LaunchError as error:
            raise EngineError(str(error)) from error

    def _gateways(self) -> RunGateways | None:
        return self.gateways.of(self.control) if self.gateways is not None and self.control is not None else None

    async def _once(self, running: Running, job: Job, folder: Path) -> Outcome:
        begun = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._cut: asyncio.Future[Cut] = self._loop.create_future()
        self._failure: BaseException | None = None
        try:
            with running.take_runtime() as runtime:
                return await self._accompany(running, self._link(runtime, job), folder, begun)
        finally:
            await uninterrupted(let_go(running))

    def _link(self, runtime: socket.socket, job: Job) -> GuestLink:
        try:
            return GuestLink(
                runtime,
                code_path=str(self.sandbox.code_path or job.files.code),
                context=self.program.context,
                nonce=secrets.token_hex(16),
                control=self.control,
                on_event=self._emit,
                limits=self.limits,
            )
        except ResultsError as error:
            raise InvalidRequestError(f"the context cannot be handed to the program: {error}") from error

    async def _accompany(self, running: Running, link: GuestLink, folder: Path, begun: float) -> Outcome:
        outputs = (
            Capture(running.stdout, self.limits.output, self._told("stdout"), lambda: self._cut_for(Cut.STDOUT)),
            Capture(running.stderr, self.limits.output, self._told("stderr"), lambda: self._cut_for(Cut.STDERR)),
        )
        serving = asyncio.create_task(link.serve())
        serving.add_done_callback(self._link_ended)
        try:
            ending = await self._end_of(running, begun)
            for output in outputs:
                await output.finish(_DRAIN)
            link.stop()
            report = await self._end_of_link(serving)
        finally:
            for output in outputs:
                output.stop()
            if not serving.done():
                await uninterrupted(_cancel(serving))
        if self._failure is not None:
            raise self._failure
        cut = self._cut.result() if self._cut.done() else None
        wall = time.monotonic() - begun
        self._check(report, ending, cut, outputs[1].text)
        judgement = judge(Case(self.program.code, self.limits, ending, cut, report, self.control))
        collected = await self._collect(running, folder)
        figures = Collected()
        if report.figures:
            figures = await asyncio.to_thread(_write_figures, report.figures, folder / "figures")
        return Outcome(
            status=judgement.status,
            results=dict(report.results if report.has_results else report.published or {}),
            has_results=report.has_results or report.published is not None,
            stdout=outputs[0].text,
            stderr=outputs[1].text,
            figures=tuple(figures.paths),
            artifacts=tuple(collected.paths),
            error=judgement.error,
            notes=(*report.problems, *running.notes(), *collected.notes, *figures.notes),
            partial=judgement.partial or collected.partial,
            usage=Usage(wall_seconds=wall, cpu_seconds=ending.cpu_seconds, max_memory=ending.max_memory),
            isolation=self._isolation(enforced(self.sandbox.enforced, running.held)),
        )

    def _isolation(self, by: Enforced) -> IsolationReport:
        return self.isolation if self.isolation.enforced == by else self.isolation.model_copy(update={"enforced": by})

    def _check(self, report: GuestReport, ending: Ending, cut: Cut | None, stderr: str) -> None:
        """Raise what is not the code's fault."""
        if cut is not None or ending.exceeded is not None:
            return
        if ending.code is None:
            raise EngineError("what watches the code was ended from outside, so nobody can tell how the code ended")
        if not report.started:
            told = one_line(stderr.strip()[-1000:], 1000) or f"it ended with {ending.code} and said nothing"
            raise EngineError(f"the interpreter failed before it came to the code: {told}")

    async def _end_of(self, running: Running, begun: float) -> Ending:
        ended = asyncio.ensure_future(running.ended())
        try:
            left = self.limits.timeout - (time.monotonic() - begun)
            await asyncio.wait({ended, self._cut}, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._cut_for(Cut.TIMEOUT)
                running.end()
            return await ended
        finally:
            if not ended.done():  # cancelled: nothing of the run may outlive this task
                running.end()
                await uninterrupted(_settled(ended))

    async def _end_of_link(self, serving: asyncio.Task[GuestReport]) -> GuestReport:
        if serving.done():
            return serving.result()
        try:
            return await asyncio.wait_for(asyncio.shield(serving), _LINK_DRAIN)
        except TimeoutError:
            raise EngineError("the link to the program did not end with it") from None

    async def _collect(self, running: Running, folder: Path) -> Collected:
        source = running.folder()
        if source is None:
            return Collected()
        if is_untouched(source):
            return Collected()
        limits = self.limits
        # Never cut short: its thread would go on with a descriptor that is closed, or somebody else's by then.
        return await uninterrupted(
            asyncio.to_thread(collect, source, folder / "artifacts", most_bytes=limits.folder, most_files=limits.files)
        )

    def _told(self, stream: str) -> Callable[[str], None]:
        name = "stdout" if stream == "stdout" else "stderr"
        return lambda text: self._emit(OutputChunk(name, text))

    def _emit(self, event: EngineEvent) -> None:
        if self.on_event is None or self._failure is not None:
            return
        try:
            self.on_event(event)
        except Exception as error:
            self._fail(error)

    def _link_ended(self, serving: asyncio.Task[GuestReport]) -> None:
        if serving.cancelled():
            return
        error = serving.exception()
        if error is not None:
            self._fail(error)
        elif serving.result().violation is not None:
            self._cut_for(Cut.VIOLATION)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._cut_for(Cut.VIOLATION)

    def _cut_for(self, reason: Cut) -> None:
        if not self._cut.done():
            self._cut.set_result(reason)


async def _settled(task: asyncio.Future[Ending]) -> None:
    with contextlib.suppress(Exception):
        await task


async def _cancel(task: asyncio.Task[GuestReport]) -> None:
    if not task.done():
        task.cancel()
    await asyncio.wait({task})


def _write_figures(figures: tuple[bytes, ...], folder: Path) -> Collected:
    written = Collected()
    for number, content in enumerate(figures, 1):
        path = folder / f"figure-{number:03d}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written.paths.append(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            written.notes.append(f"figure {number} left out: {why_not(error)}")
    return written
