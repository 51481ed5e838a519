"""The frame of a command that uses the service: one event loop, one open service, signals that cancel."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osprey_executor.errors import PythonExecutorException
from osprey_executor.interfaces.cli.exits import Exit
from osprey_executor.interfaces.cli.failures import tell
from osprey_executor.interfaces.cli.interrupts import Interrupts, whole
from osprey_executor.interfaces.cli.progress import Display
from osprey_executor.interfaces.cli.screen import Screen
from osprey_executor.service import PythonExecutorService

if TYPE_CHECKING:
    from osprey_executor.models import RunResult
    from osprey_executor.models.events import Event

CARRIED = dict[str, Any]()
"""The configuration of commands on runs that exist: each run brings its own, and a broken file is in nobody's way."""


@dataclass(frozen=True)
class Work:
    """What a command has at hand while the service is open."""

    service: PythonExecutorService
    screen: Screen
    display: Display
    interrupts: Interrupts

    async def follow(self, events: AsyncGenerator[Event], *, ours: bool = True) -> RunResult | None:
        """Show events until the last one and return its result; None where a signal came before there was a run.

        On a signal the run is cancelled, and how it ended is returned; one that is not `ours` is left alone.
        """
        run_id, result = "", None
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    run_id = self.interrupts.run_id = event.run_id
                    self.display.show(event)
                    if event.kind == "finished":
                        result = event.result
        except asyncio.CancelledError:
            if not self.interrupts.seen or not ours:
                raise
            self.display.pause()
            return await self._ended(run_id)
        finally:
            self.display.pause()
        return result

    async def _ended(self, run_id: str) -> RunResult | None:
        self.screen.tell("Interrupted: the run is cancelled.", style="yellow")
        with suppress(PythonExecutorException):
            return await self.service.cancel(run_id) if run_id else None


def with_service(
    body: Callable[[Work], Awaitable[int]], screen: Screen, config: Path | Mapping[str, Any] | None = CARRIED
) -> int:
    """Open the service, run `body`, and return its exit code; 130 after a signal, whatever `body` made of it."""
    return asyncio.run(_with_service(body, screen, config))


async def _with_service(
    body: Callable[[Work], Awaitable[int]], screen: Screen, config: Path | Mapping[str, Any] | None
) -> int:
    task = asyncio.current_task()
    assert task is not None
    with Interrupts(task).installed() as interrupts, Display(screen) as display:
        code: int | None = None
        try:
            async with _opened(config) as service:
                code = await body(Work(service, screen, display, interrupts))
        except asyncio.CancelledError:
            if not interrupts.seen:
                raise
        if code is None:  # the body has told nothing yet
            display.pause()
            code = tell(
                "Interrupted", "interrupted", Exit.INTERRUPTED, as_json=screen.as_json, run_id=interrupts.run_id
            )
        return Exit.INTERRUPTED if interrupts.seen else code


@asynccontextmanager
async def _opened(config: Path | Mapping[str, Any] | None) -> AsyncGenerator[PythonExecutorService]:
    service = PythonExecutorService.from_config(config)
    try:
        await whole(service.__aenter__())
        yield service
    finally:
        await whole(service.__aexit__(*sys.exc_info()))
