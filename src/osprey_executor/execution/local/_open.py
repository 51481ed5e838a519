"""Prepares a local engine: interpreter, guest library, filters, jail; and proves it before it is handed out."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution.local import _seccomp
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._fonts import Fonts
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._jail import JailSandbox, Walls
from osprey_executor.execution.local._plain import PlainSandbox
from osprey_executor.execution.local._probes import Prober
from osprey_executor.execution.local._root import temporary_root
from osprey_executor.execution.local._staging import stage_guest


@asynccontextmanager
async def open_local(config: ExecutionConfig, *, walls: Walls | None = None) -> AsyncGenerator[LocalEngine]:
    """Open the local engine; see `open_engine`. `walls` is for tests: an engine with a wall missing is not proven."""
    interpreter = find_interpreter(config.python_env_path)
    async with contextlib.AsyncExitStack() as life:
        place = contextlib.ExitStack()
        life.push_async_callback(asyncio.to_thread, place.close)  # removing outputs may take a while
        root = await asyncio.to_thread(place.enter_context, temporary_root())
        library = await asyncio.to_thread(stage_guest, root)
        details = {"guest": await asyncio.to_thread(_digest, library)}
        if config.isolation == "none":
            sandbox = PlainSandbox(interpreter, library)
            yield LocalEngine(sandbox, interpreter, config.limits, root, None, details, _nothing)
            return
        filters = await asyncio.to_thread(_seccomp.programs)
        jails = JailSandbox(interpreter, library, filters, walls)
        details |= {"seccomp": hashlib.sha256(b"".join(filters)).hexdigest(), "visible": jails.visible_paths}
        prober = Prober(jails, interpreter, tuple(jails.top), root)
        fonts = await asyncio.to_thread(Fonts, jails, interpreter, root)
        engine = LocalEngine(jails, interpreter, config.limits, root, prober, details, fonts.wanted)
        if walls is None:
            await engine.prove()
        try:
            yield engine
            await fonts.settle()
        finally:
            await fonts.stop()


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _nothing() -> None:
    return None
