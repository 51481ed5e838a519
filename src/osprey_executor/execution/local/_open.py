"""Prepares a local engine: interpreter, guest library, filters, jail; and proves it before it is handed out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution.local import _seccomp
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._fonts import Fonts
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._jail import JailSandbox, Walls
from osprey_executor.execution.local._plain import PlainSandbox
from osprey_executor.execution.local._pool import Pool
from osprey_executor.execution.local._probes import Prober
from osprey_executor.execution.local._root import temporary_root
from osprey_executor.execution.local._sandbox import Job
from osprey_executor.execution.local._script import run_as_program, run_script
from osprey_executor.execution.local._server import ForkServer
from osprey_executor.execution.local._spare import Spare
from osprey_executor.execution.local._staging import stage_guest, stage_room
from osprey_executor.models import Limits


@asynccontextmanager
async def open_local(config: ExecutionConfig, *, walls: Walls | None = None) -> AsyncGenerator[LocalEngine]:
    """Open the local engine; see `open_engine`. `walls` is for tests: an engine with a wall missing is not proven."""
    interpreter = find_interpreter(config.python_env_path)
    async with contextlib.AsyncExitStack() as life:
        place = contextlib.ExitStack()
        life.push_async_callback(asyncio.to_thread, place.close)  # removing outputs may take a while
        root = await asyncio.to_thread(place.enter_context, temporary_root())
        library = await asyncio.to_thread(stage_guest, root)
        room = await asyncio.to_thread(stage_room, root)
        details = {"guest": await asyncio.to_thread(_digest, library)}
        if config.isolation == "none":
            sandbox = PlainSandbox(interpreter, library)
            yield LocalEngine(sandbox, interpreter, config.limits, root, None, details, _nothing)
            return
        filters = await asyncio.to_thread(_seccomp.programs)
        jails = JailSandbox(interpreter, library, room, filters, walls)
        details |= {"seccomp": hashlib.sha256(b"".join(filters.code)).hexdigest(), "visible": jails.visible_paths}
        prober = Prober(functools.partial(run_script, jails), interpreter, tuple(jails.top), root)
        fonts = await asyncio.to_thread(Fonts, jails, interpreter, root)
        served = functools.partial(_prober_of, prober, config.limits)
        engine = LocalEngine(jails, interpreter, config.limits, root, prober, details, fonts.wanted)
        if config.fork_server.enabled:
            engine.pool = jails.pool = Pool(
                functools.partial(jails.start_server, config.limits, config.fork_server.preload),
                lambda server: served(server).prove(),
                config.limits,
                config.fork_server,
            )
            life.push_async_callback(jails.pool.close)
        if walls is None:
            await engine.prove()
        try:
            yield engine
            await fonts.settle()
        finally:
            await fonts.stop()


def _prober_of(prober: Prober, limits: Limits, server: ForkServer) -> Prober:
    """Return what probes the jails of a fork server."""

    def begin(job: Job) -> Spare:
        spare = server.spawn()
        spare.begin(job, server.fetch)
        return spare

    return replace(prober, run=functools.partial(run_as_program, begin), small=limits)


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _nothing() -> None:
    return None
