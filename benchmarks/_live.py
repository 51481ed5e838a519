"""An engine or a service as it lives in a site: opened once, with an event loop that goes on between two calls."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from _measure import Cost, Subject

from osprey_executor import Approve, PythonExecutionRequest, PythonExecutorService
from osprey_executor.execution import Engine
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models import ApprovalCard, ControlSession, Outcome, Program, RunResult, RunStatus

T = TypeVar("T")
SETTINGS = {
    "execution": {"code_generator": "mock", "execution_method": "local", "isolation": "full"},
    "control_system": {"type": "mock"},
}
TRIVIAL = "results = {'total': sum(number * number for number in range(1000))}\n"


class Loop:
    """An event loop in a thread: what it prepares for the next run does not wait for that run to be asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def subject(self, work: Callable[[], Coroutine[Any, Any, object]]) -> Subject:
        """Return a subject that runs `work()`; what it costs is taken inside the loop."""

        async def timed() -> Cost:
            wall, cpu = time.perf_counter(), time.process_time()
            await work()
            return Cost(time.perf_counter() - wall, time.process_time() - cpu)

        return lambda: self.wait(timed())

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()


@contextmanager
def opened(context: AbstractAsyncContextManager[T]) -> Iterator[tuple[Loop, T]]:
    """Open `context` in a loop that lives as long; the task that enters it also leaves it."""
    loop = Loop()
    enough = asyncio.Event()

    async def hold(ready: asyncio.Future[T]) -> None:
        try:
            async with context as inside:
                ready.set_result(inside)
                await enough.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def begin() -> tuple[asyncio.Task[None], T]:
        ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        return asyncio.create_task(hold(ready)), await ready

    async def end(holding: asyncio.Task[None]) -> None:
        enough.set()
        await holding

    try:
        holding, inside = loop.wait(begin())
        try:
            yield loop, inside
        finally:
            loop.wait(end(holding))
    finally:
        loop.close()


async def run(engine: Engine, code: str, control: ControlSession | None = None) -> Outcome:
    """Run a program.

    Raises:
        RuntimeError: it failed; a failure must not look like a fast success.
    """
    outcome = await engine.run(Program(code=code), control=control)
    if outcome.status is not RunStatus.SUCCEEDED:
        raise RuntimeError(f"the program {outcome.status}: {outcome.error}")
    return outcome


def service(home: Path, code: str, changes: Mapping[str, Any] | None = None) -> PythonExecutorService:
    """Return a service, to be opened, whose generator always gives `code`; `changes` are sections of `SETTINGS`."""
    generator = MockCodeGenerator()
    generator.set_code(code)
    return PythonExecutorService.from_config({**SETTINGS, **(changes or {})}, generator=generator, home=home)


def approve(card: ApprovalCard) -> Approve:
    """Approve whatever is asked."""
    return Approve(card.digest)


async def ask(serving: PythonExecutorService, writes: int = 0) -> RunResult:
    """Send a request, approve what it asks, and wait for its result.

    Raises:
        PythonExecutorException: it failed.
        RuntimeError: it did not write so many times.
    """
    result = await serving.run(PythonExecutionRequest(user_query="measure"), decide=approve)
    result.raise_for_status()
    if len(result.writes) != writes:
        raise RuntimeError(f"the run wrote {len(result.writes)} times instead of {writes}")
    return result
