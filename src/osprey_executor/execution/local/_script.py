"""Runs one of our own scripts in a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.execution.guest_link import GuestLink
from osprey_executor.execution.local._environment import CODE
from osprey_executor.execution.local._output import Capture
from osprey_executor.execution.local._sandbox import Ending, Job, LaunchError, Running, Sandbox
from osprey_executor.execution.local._staging import Staged, stage_program
from osprey_executor.models import Limits, Program
from osprey_executor.patience import uninterrupted

_DRAIN = 5.0


@dataclass(frozen=True)
class ScriptEnd:
    """What came of a script."""

    ending: Ending
    stdout: str
    stderr: str
    timed_out: bool = False
    overflowed: bool = False
    drained: bool = True
    """Whether the pipes came to their end, which means that nobody holds them any more."""


async def run_script(sandbox: Sandbox, root: Path, name: str, *arguments: str, limits: Limits) -> ScriptEnd:
    """Run `inside/<name>.py` in the sandbox, without the guest library.

    Raises:
        LaunchError: the sandbox cannot start it.
    """
    program = Program(code=await asyncio.to_thread(_source, name))
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory[str], dir=root)
    try:
        staged = await uninterrupted(
            asyncio.to_thread(stage_program, Path(folder.name) / "job", program, private_user=True)
        )
        return await run_staged(sandbox, staged, *arguments, limits=limits)
    finally:
        await uninterrupted(asyncio.to_thread(folder.cleanup))


async def run_as_program(
    start: Callable[[Job], Running], root: Path, name: str, *arguments: str, limits: Limits, code_path: str = CODE
) -> ScriptEnd:  # `root` as for `run_script`; this one needs no place
    """Run `inside/<name>.py` as a program, by the guest's worker, in whatever `start` begins a job in.

    Raises:
        LaunchError: it cannot be started.
    """
    source = await asyncio.to_thread(_source, name)
    given = f"import sys; sys.argv[1:] = {list(arguments)!r}; del sys\n".encode()
    running = start(Job(_after_future_imports(source, given), limits))
    try:
        link = GuestLink(
            running.take_runtime(), code_path=code_path, context={}, nonce=secrets.token_hex(16), limits=limits
        )
        serving = asyncio.create_task(link.serve())
        end = await _accompany(running, limits)
        link.stop()
        await serving
        return end
    finally:
        await uninterrupted(let_go(running))


def _source(name: str) -> bytes:
    return importlib.resources.files(__package__ or "").joinpath("inside", f"{name}.py").read_bytes()


def _after_future_imports(source: bytes, line: bytes) -> bytes:
    last = b"from __future__ import annotations\n"
    before, found, after = source.partition(last)
    return before + found + line + after if found else line + source


async def run_staged(sandbox: Sandbox, staged: Staged, *arguments: str, limits: Limits) -> ScriptEnd:
    """Run a staged script in the sandbox, see `run_script`."""
    path = str(sandbox.code_path or staged.code)
    running = sandbox.start(Job(b"", limits, staged, ("-I", "-S", "-B", path, *arguments)))
    try:
        return await _accompany(running, limits)
    finally:
        await uninterrupted(let_go(running))


async def let_go(running: Running) -> None:
    """End whatever is left of `running` and free what it holds."""
    running.end()
    with contextlib.suppress(LaunchError):
        await running.ended()
    running.forget()
    if running.closes_at_once:
        running.close()
    else:
        await asyncio.to_thread(running.close)


async def _accompany(running: Running, limits: Limits) -> ScriptEnd:
    over = asyncio.Event()
    outputs = [
        Capture(descriptor, limits.output, lambda text: None, over.set)
        for descriptor in (running.stdout, running.stderr)
    ]
    ended = asyncio.ensure_future(running.ended())
    overflow = asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({ended, overflow}, timeout=limits.timeout, return_when=asyncio.FIRST_COMPLETED)
        timed_out = not ended.done() and not over.is_set()
        if not ended.done():
            running.end()
        ending = await ended
        drained = all([await output.finish(_DRAIN) for output in outputs])
    finally:
        overflow.cancel()
        ended.cancel()
        for output in outputs:
            output.stop()
    return ScriptEnd(ending, outputs[0].text, outputs[1].text, timed_out, over.is_set(), drained)
