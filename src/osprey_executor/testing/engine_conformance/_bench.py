"""One open engine, and what the tests do with it."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from osprey_executor.execution import Engine, EngineEvent, Outcome, Program
from osprey_executor.models import ControlSession, Limits, RunStatus

T = TypeVar("T")

SECRET_NAME, SECRET = "CONFORMANCE_API_KEY", "secret-of-the-service-7f3a"
"""Set in the environment of the service before its engine is opened."""
MIB = 1 << 20
_LIMITS = Limits(timeout=60)

_ATTACK = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def done(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

def in_child(work):
    pid = os.fork()
    if pid == 0:
        number = 0
        try:
            work()
        except OSError as error:
            number = error.errno or 1
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if number:
        raise OSError(number, os.strerror(number))

def attack():
{body}

try:
    seen = attack()
except OSError as error:
    results = {{"refused": str(error)}}
else:
    results = {{"breached": repr(seen)}}
"""


@dataclass(frozen=True)
class EngineUnderTest:
    """Which engine is tested, and what is known to differ in it. What differs is checked too, never passed over."""

    open: Callable[[], AbstractAsyncContextManager[Engine]]
    """Opens the engine; `open_engine` with its arguments is one."""
    packages: frozenset[str] = frozenset({"numpy", "pandas", "matplotlib"})
    """Of these three, what code finds inside; the tests need them outside too."""
    loopback: bool = True
    """Whether programs may talk to themselves over 127.0.0.1; in another case the engine must refuse it."""
    same_machine: bool = True
    """Whether the processes of a run show in this machine's /proc, so that the tests can see them live and go."""
    proven: bool = True
    """Whether the engine says that it saw containment hold."""


class Bench:
    """Runs programs in one engine, from tests that are no coroutines."""

    def __init__(self, expected: EngineUnderTest, engine: Engine, runner: asyncio.Runner) -> None:
        """Take over an open engine and the event loop that it lives in."""
        self.expected, self.engine, self._runner = expected, engine, runner

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the engine's event loop."""
        return self._runner.run(work)

    def run(
        self,
        code: str | bytes,
        *,
        inputs: Mapping[str, Path | bytes] | None = None,
        context: Mapping[str, Any] | None = None,
        limits: Limits = _LIMITS,
        folder: Path | None = None,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> Outcome:
        """Run one program to its end."""
        program = Program(code=code, inputs=inputs or {}, context=context or {}, limits=limits, folder=folder)
        return self.wait(self.engine.run(program, control=control, on_event=on_event))

    def results(self, code: str, **fields: Any) -> dict[str, Any]:
        """Run a program that must succeed and return its results."""
        outcome = self.run(code, **fields)
        assert outcome.status is RunStatus.SUCCEEDED, f"{outcome.error}\n{outcome.stderr}"
        return outcome.results

    def attack(self, body: str, **fields: Any) -> None:
        """Run the body of a function that must end in an OSError, or be killed for what it does.

        Whatever else happens - it returns, or stumbles over a mistake of its own - is a failure of the test.
        """
        outcome = self.run(_ATTACK.format(body=textwrap.indent(textwrap.dedent(body), "    ")), **fields)
        assert "breached" not in outcome.results, f"not refused: {outcome.results['breached']}"
        killed = outcome.error is not None and outcome.error.type == "ProcessKilled"
        assert "refused" in outcome.results or killed, f"{outcome.error}\n{outcome.stderr}"


def message(outcome: Outcome) -> str:
    """Return type and message of the error that an outcome must have."""
    assert outcome.error is not None, f"it {outcome.status}: {outcome.results}"
    return f"{outcome.error.type}: {outcome.error.message}"


def told(outcome: Outcome) -> str:
    """Return all that an outcome says of how it ended: its error, if it has one, and its notes."""
    return "\n".join([str(outcome.error), *outcome.notes])


@pytest.fixture(scope="module")
def bench(engine_under_test: EngineUnderTest) -> Iterator[Bench]:
    """The engine under test, open for all tests of the module."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv(SECRET_NAME, SECRET)
        life = runner.run(_live(engine_under_test))
        try:
            yield Bench(engine_under_test, life.engine, runner)
        finally:
            runner.run(life.end())


@dataclass(frozen=True)
class _Life:
    engine: Engine
    over: asyncio.Event
    task: asyncio.Task[None]

    async def end(self) -> None:
        self.over.set()
        await self.task


async def _live(expected: EngineUnderTest) -> _Life:
    """Open the engine in a task of its own, which will close it too: a task group inside demands that."""
    opened: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with expected.open() as engine:
            opened.set_result(engine)
            await over.wait()

    task = asyncio.create_task(hold())
    await asyncio.wait({task, opened}, return_when=asyncio.FIRST_COMPLETED)
    if not opened.done():
        await task
    return _Life(opened.result(), over, task)
