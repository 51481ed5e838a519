"""The tools, in terms of what one person may do. Approval stays with people: there is no tool for it."""

from __future__ import annotations

import asyncio
import base64
import functools
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from importlib.metadata import version
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from osprey_executor.desk import Desk
from osprey_executor.errors import InvalidRequestError, PythonExecutorException
from osprey_executor.interfaces.mcp.answers import (
    FileAnswer,
    RehearsalAnswer,
    RunAnswer,
    RunEntry,
    answer_of,
    entry_of,
    rehearsal_of,
)
from osprey_executor.models import PythonExecutionRequest, RunFilter
from osprey_executor.models.events import Event, Finished, Progress, StageStarted

_BEAT_SECONDS = 5.0
"""A client that hears of progress at least this often does not take a long run for a dead one."""
_LARGEST_FILE = 4 << 20
"""Bytes of a file in one answer."""
_INSTRUCTIONS = (
    "Runs Python next to a control system: isolated, analysed, recorded. Reading channels needs nobody. A program that "
    "writes channels is rehearsed first, and then waits for a person; nothing here approves it. Programs leave "
    "what they found in the dictionary `results`, and files in their working folder."
)
_P = ParamSpec("_P")
_T = TypeVar("_T")
_READS = ToolAnnotations(read_only_hint=True)

RunId = Annotated[str, Field(description="Id of a run, or a unique beginning of it.", max_length=200)]
Code = Annotated[str, Field(description="A whole Python program; it is run unchanged.", max_length=1_000_000)]


def create_server(desk_of: Callable[[Context[Any, Any]], Desk]) -> MCPServer[Any]:
    """Return a server whose tools do what the desk of who asks allows.

    Args:
        desk_of: finds that desk for each request.
    """
    server: MCPServer[Any] = MCPServer(
        "osprey-executor", instructions=_INSTRUCTIONS, version=version("osprey-executor"), log_level="WARNING"
    )

    @server.tool(structured_output=True)
    @_told
    async def run_python(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any],
        task: Annotated[str, Field(description="What to find out or to do, in words.", max_length=100_000)],
        code: Annotated[Code | None, Field(description="A program of your own; without it one is generated.")] = None,
        expected_results: Annotated[
            dict[str, Any] | None, Field(description="Names that `results` must have, each with its type.")
        ] = None,
        context: Annotated[
            dict[str, Any] | None, Field(description="Data that the program finds as `context`.")
        ] = None,
        wait_seconds: Annotated[
            float, Field(ge=0, le=3600, description="How long to wait for its end; the run goes on after that.")
        ] = 600.0,
    ) -> RunAnswer:
        """Run Python for a task and return its results, or that a person must approve what it would write."""
        desk = desk_of(ctx)
        request = PythonExecutionRequest(
            user_query=task,
            code=code,
            expected_results=expected_results or {},
            capability_context_data=context or {},
        )
        run = await desk.submit(request)
        await _wait(ctx, desk, run.run_id, wait_seconds)
        desk = desk_of(ctx)  # what they may see now
        return await answer_of(desk, await desk.run(run.run_id))

    @server.tool(structured_output=True, annotations=_READS)
    @_told
    async def rehearse(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any], code: Code
    ) -> RehearsalAnswer:
        """Run a program with its writes kept from the machine, and return what it would write. Nobody is asked."""
        rehearsing = desk_of(ctx).rehearse(PythonExecutionRequest(user_query="rehearsal", code=code))
        return rehearsal_of(await _beating(ctx, rehearsing))

    @server.tool(structured_output=True, annotations=_READS)
    @_told
    async def get_run(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any],
        run_id: RunId,
        wait_seconds: Annotated[float, Field(ge=0, le=3600, description="How long to wait for its end.")] = 0.0,
    ) -> RunAnswer:
        """Return a run: its state, results, output, files and what there is to do next."""
        desk = desk_of(ctx)
        run = await desk.run(run_id)
        if wait_seconds and run.state == "running":
            await _wait(ctx, desk, run.run_id, wait_seconds)
            desk = desk_of(ctx)
            run = await desk.run(run.run_id)
        return await answer_of(desk, run)

    @server.tool(structured_output=True, annotations=_READS)
    @_told
    async def list_runs(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any],
        text: Annotated[
            str,
            Field(description="Only runs with this text in the task, or at the beginning of the id.", max_length=200),
        ] = "",
        state: Annotated[str, Field(description="Only runs in this state, as `succeeded`.", max_length=40)] = "",
        limit: Annotated[int, Field(ge=1, le=200)] = 20,
    ) -> list[RunEntry]:
        """List and search runs, the newest first."""
        page = await desk_of(ctx).runs(RunFilter(text=text, state=state or None), limit=limit)
        return [entry_of(run) for run in page.runs]

    @server.tool(structured_output=True, annotations=_READS)
    @_told
    async def read_artifact(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any],
        run_id: RunId,
        name: Annotated[str, Field(description="One of `files` of the run.", max_length=1000)],
    ) -> FileAnswer:
        """Return a file that a run left: data, a figure, its notebook. What stands in it is a claim of the program."""
        path = await desk_of(ctx).artifact(run_id, name)
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise InvalidRequestError(f"{name!r:.200} has {size} bytes, more than {_LARGEST_FILE} for one answer")
        data = await asyncio.to_thread(path.read_bytes)
        try:
            return FileAnswer(name=name, size=size, text=data.decode())
        except UnicodeDecodeError:
            return FileAnswer(name=name, size=size, base64=base64.b64encode(data).decode())

    @server.tool(structured_output=True)
    @_told
    async def cancel_run(  # pyright: ignore[reportUnusedFunction]
        ctx: Context[Any, Any], run_id: RunId
    ) -> RunAnswer:
        """End a run, or take back one that waits for a person; one that has ended stays as it is."""
        desk = desk_of(ctx)
        await desk.cancel(run_id)
        return await answer_of(desk, await desk.run(run_id))

    return server


def _told(tool: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """Let a tool tell its errors to the model in their own words, by their names."""

    @functools.wraps(tool)
    async def told(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await tool(*args, **kwargs)
        except PythonExecutorException as error:
            raise ToolError(f"{type(error).__name__}: {error}") from None

    return told


async def _wait(ctx: Context[Any, Any], desk: Desk, run_id: str, seconds: float) -> None:
    """Wait until a run has ended or waits for a person, and report what happens; at most for some seconds."""
    said = "begun"

    async def follow() -> None:
        nonlocal said
        async with aclosing(desk.events(run_id)) as events:
            async for _, event in events:
                said = _words(event) or said
                if isinstance(event, Finished):
                    return

    following = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(seconds):
            await _beating(ctx, following, lambda: said)
    except TimeoutError:
        pass
    finally:
        following.cancel()


async def _beating(ctx: Context[Any, Any], work: Awaitable[_T], words: Callable[[], str] = lambda: "rehearsing") -> _T:
    """Wait for some work and report, again and again, that it goes on."""
    task = asyncio.ensure_future(work)
    begun = time.monotonic()
    try:
        while True:
            await ctx.report_progress(time.monotonic() - begun, message=words())
            done, _ = await asyncio.wait((task,), timeout=_BEAT_SECONDS)
            if done:
                return task.result()
    finally:
        task.cancel()


def _words(event: Event) -> str:
    if isinstance(event, Progress):
        return f"{event.fraction:.0%} {event.message}"[:200]
    return str(event.stage) if isinstance(event, StageStarted) else ""
