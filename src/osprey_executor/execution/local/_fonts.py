"""matplotlib's list of fonts, made once for each environment and copied into every sandbox.

Without it the first plot of every run would look through all fonts of the system, which takes a second or more. The
list is made in a jail in which no program runs, so no program can leave anything for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.resources
import os
import tempfile
from pathlib import Path
from typing import Protocol

from platformdirs import user_cache_path

from osprey_executor.errors import PythonExecutorException
from osprey_executor.execution.local._collect import collect
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._sandbox import Job, LaunchError, Sandbox
from osprey_executor.execution.local._script import let_go
from osprey_executor.execution.local._staging import stage_program
from osprey_executor.models import Limits, Program
from osprey_executor.patience import uninterrupted

_MIB = 1 << 20
_LIMITS = Limits(timeout=60.0, folder=4 * _MIB, files=16)


class FontedSandbox(Sandbox, Protocol):
    """A sandbox that gives each job the list at `fonts`, if there is one."""

    fonts: Path | None


class Fonts:
    """The list of one sandbox: used where it is there, made in the background once a program has plotted."""

    def __init__(self, sandbox: FontedSandbox, interpreter: Interpreter, root: Path) -> None:
        """Give `sandbox` the list that this user's cache has for its environment, if any."""
        self._sandbox, self._root = sandbox, root
        self._folder = _folder_for(interpreter)
        self._making: asyncio.Task[None] | None = None
        self._use()

    def wanted(self) -> None:
        """A program plotted: make the list, unless it is there or being made."""
        if self._folder is not None and self._sandbox.fonts is None and self._making is None:
            self._making = asyncio.create_task(self._make(self._folder))

    async def settle(self) -> None:
        """Wait for a list that is being made: once in the life of an environment, a second or two."""
        if self._making is not None:
            await self._making

    async def stop(self) -> None:
        """Give up a list that is being made."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait({self._making})

    async def _make(self, folder: Path) -> None:
        with contextlib.suppress(LaunchError, PythonExecutorException, OSError):  # a plot is slower then, no more
            script = importlib.resources.files(__package__ or "").joinpath("inside", "fonts.py").read_bytes()
            with tempfile.TemporaryDirectory(dir=self._root) as temporary:
                made = await _make(self._sandbox, Path(temporary), Program(code=script))
                if made is not None:
                    await asyncio.to_thread(_keep, made, folder)
                    self._use()

    def _use(self) -> None:
        if self._folder is not None:
            self._sandbox.fonts = next(iter(sorted(self._folder.glob("fontlist*.json"))), None)


def _folder_for(interpreter: Interpreter) -> Path | None:
    """Return where the list for this environment is kept; None if it has no matplotlib."""
    for prefix in interpreter.prefixes:
        for found in sorted(prefix.glob("lib/python3*/*-packages/matplotlib/_version.py")):
            version = f"{interpreter.executable}\0{found}\0{found.stat().st_mtime_ns}"
            return user_cache_path("osprey-executor") / "fonts" / hashlib.sha256(version.encode()).hexdigest()[:32]
    return None


async def _make(sandbox: FontedSandbox, temporary: Path, program: Program) -> Path | None:
    staged = stage_program(temporary / "job", program, private_user=True)
    running = sandbox.start(Job(b"", _LIMITS, staged, ("-I", "-B", str(sandbox.code_path or staged.code))))
    try:
        async with asyncio.timeout(_LIMITS.timeout):
            ending = await running.ended()
        source = running.folder()
        if ending.code != 0 or source is None:
            return None
        found = await asyncio.to_thread(collect, source, temporary, most_bytes=_LIMITS.folder, most_files=16)
        return next((path for path in found.paths if path.name.startswith("fontlist")), None)
    except TimeoutError:
        return None
    finally:
        await uninterrupted(let_go(running))


def _keep(made: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    waiting = folder / f".{made.name}.{os.getpid()}"
    waiting.write_bytes(made.read_bytes())
    waiting.replace(folder / made.name)
