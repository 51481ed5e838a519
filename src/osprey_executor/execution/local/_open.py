"""Prepares a local engine: interpreter, guest library, filters, jail; and proves it before it is handed out."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import StorageError
from osprey_executor.execution._engine import Engine
from osprey_executor.execution.local import _seccomp
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._environment import LIBRARY
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._jail import JailSandbox, Walls
from osprey_executor.execution.local._staging import stage_guest


@asynccontextmanager
async def open_local(config: ExecutionConfig, *, walls: Walls | None = None) -> AsyncIterator[Engine]:
    """Open the local engine; see `open_engine`. `walls` is for tests: an engine with a wall missing is not proven."""
    interpreter = find_interpreter(config.python_env_path)
    root = await asyncio.to_thread(_new_root)
    try:
        filters, library = await asyncio.gather(
            asyncio.to_thread(_seccomp.programs), asyncio.to_thread(stage_guest, root)
        )
        digest = hashlib.sha256(b"".join(filters)).hexdigest()
        sandbox = JailSandbox(interpreter, library, filters, walls)
        engine = LocalEngine(sandbox, interpreter, LIBRARY, config.limits, root, digest)
        if walls is None:
            await engine.prove()
        yield engine
    finally:
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


def _new_root() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="osprey-executor-"))
    except OSError as error:
        raise StorageError(
            f"no temporary folder can be made ({error}): free space, or set TMPDIR to a folder that can be written"
        ) from error
