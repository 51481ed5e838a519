"""A real worker in a plain process, and the real link to it: all but the jail."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import osprey_executor
from osprey_executor.execution import ProgressReport
from osprey_executor.execution.guest_link import GuestLink, GuestReport
from osprey_executor.models import ControlSession, Limits

GUEST = Path(osprey_executor.__file__).parent / "guest"
START = "import sys; sys.path.insert(0, {lib!r}); from osprey_executor.worker import main; main()"


@dataclass(frozen=True)
class Ran:
    """How a program ended in a real worker."""

    report: GuestReport
    code: int
    stdout: str
    stderr: str
    folder: Path
    progress: list[ProgressReport] = field(default_factory=list)


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program: `await run(code, context=..., control=..., limits=..., python=..., timeout=...)`."""

    async def call(
        code: str | bytes,
        *,
        context: Mapping[str, Any] | None = None,
        control: ControlSession | None = None,
        limits: Limits | None = None,
        python: str = sys.executable,
        timeout: float = 60,
        nonce: str = "n0nce",
        env: Mapping[str, str] | None = None,
        limit_seconds: float | None = None,
    ) -> Ran:
        work, lib = tmp_path / "work", tmp_path / "lib"
        work.mkdir(exist_ok=True)
        lib.mkdir(exist_ok=True)
        if not (lib / "osprey_executor").exists():
            (lib / "osprey_executor").symlink_to(GUEST)
        path = tmp_path / "code.py"
        path.write_bytes(code.encode() if isinstance(code, str) else code)
        ours, theirs = socket.socketpair()
        seen: list[ProgressReport] = []
        link = GuestLink(
            ours,
            code_path=path,
            context=context or {},
            nonce=nonce,
            control=control,
            on_event=seen.append,
            limits=limits,
        )
        serving = asyncio.create_task(link.serve())
        with theirs:
            process = await asyncio.create_subprocess_exec(
                python,
                "-I",
                "-c",
                START.format(lib=str(lib)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                cwd=work,
                env={"PATH": os.defpath, "OSPREY_RUNTIME_FD": str(theirs.fileno()), **(env or {})},
                start_new_session=True,
            )
        try:
            if limit_seconds is not None:
                await asyncio.sleep(limit_seconds)
                process.kill()
            out, err = await asyncio.wait_for(process.communicate(), timeout)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        link.stop()
        report = await asyncio.wait_for(serving, timeout)
        assert process.returncode is not None
        return Ran(report, process.returncode, out.decode(), err.decode(), work, seen)

    return call
