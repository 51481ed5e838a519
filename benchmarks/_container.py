"""What a run costs in a kernel of a Jupyter server, with kernels started ahead."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from _live import TRIVIAL, Loop, opened
from _report import Line

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution import Engine, open_engine
from osprey_executor.execution.container import ContainerLimits, OwnContainer
from osprey_executor.execution.container._engine import ContainerEngine
from osprey_executor.models import Limits, Program, RunStatus

_POOL = 8
_SLEEP = "import time\ntime.sleep(0.5)\nresults = {}\n"
_LEAVE = "import builtins, os, sys\nbuiltins.left = os.left = 1\nsys.modules['left'] = os\nleft = 1\n"
_LOOK = """
import builtins, os, sys
results = {"left": [hasattr(builtins, "left"), hasattr(os, "left"), "left" in sys.modules, "left" in globals()]}
"""
_UP = 60.0


def container(rounds: int) -> list[Line]:
    """A warm run, eight at once, state from run to run, and what follows a time-out."""
    lines: list[Line] = []
    for name in ("kernel_gateway", "jupyter_server", "own container"):
        try:
            with (
                tempfile.TemporaryDirectory(prefix="bench-") as home,
                _own(Path(home)) if name == "own container" else _server(name) as section,
                opened(open_engine("container", section, home=Path(home))) as (loop, engine),
            ):
                lines += _measured(name, loop, engine, rounds)
        except EngineUnavailableError as error:
            print(f"{name}: not measured: {error}", file=sys.stderr)
    return lines


def _measured(name: str, loop: Loop, engine: Engine, rounds: int) -> list[Line]:
    assert isinstance(engine, ContainerEngine)
    warm, crowd = list[float](), list[float]()
    for number in range(rounds):
        loop.wait(_filled(engine, _POOL))
        if number % 5 == 0:
            crowd.append(loop.wait(_seconds(engine, *[_SLEEP] * _POOL)))
        else:
            warm.append(loop.wait(_seconds(engine, TRIVIAL)) * 1e3)
    loop.wait(_filled(engine, 3))
    loop.wait(_seconds(engine, _LEAVE))
    left = loop.wait(engine.run(Program(code=_LOOK))).results["left"]
    timed_out = loop.wait(engine.run(Program(code="import time\ntime.sleep(60)", limits=Limits(timeout=0.5))))
    assert timed_out.status is RunStatus.TIMED_OUT
    after = loop.wait(_seconds(engine, TRIVIAL))
    spread = (min(warm), max(warm))
    return [
        Line("container", f"{name}: warm run, trivial code", median(warm), "ms", 30.0, spread=spread),
        Line("container", f"{name}: 8 at once, each sleeping 0.5 s", median(crowd), "s", 1.5),
        Line("container", f"{name}: things left for the next run", float(sum(left)), "", 0.0),
        Line("container", f"{name}: request after a time-out", after, "s", note="as quick as any other"),
    ]


async def _seconds(engine: Engine, *codes: str) -> float:
    begun = time.perf_counter()
    outcomes = await asyncio.gather(*(engine.run(Program(code=code)) for code in codes))
    took = time.perf_counter() - begun
    for outcome in outcomes:
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
    return took


async def _filled(engine: ContainerEngine, kernels: int) -> None:
    """Wait until so many kernels are ready, and the machine has nothing to do with others."""
    while engine.pool.ready < kernels:
        engine.pool.tend_at_once()
        await asyncio.sleep(0.1)
    await engine.pool.settled()
    await asyncio.sleep(0.5)


@contextlib.contextmanager
def _own(home: Path) -> Iterator[dict[str, Any]]:
    own = OwnContainer(home)
    own.build()
    own.up(ContainerLimits())
    try:
        yield {"container": {"managed": True, "warm_kernels": _POOL}}
    finally:
        own.down()


@contextlib.contextmanager
def _server(name: str) -> Iterator[dict[str, Any]]:
    token = secrets.token_hex(8)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "kernel_gateway": [f"--KernelGatewayApp.auth_token={token}"],
        "jupyter_server": [f"--IdentityProvider.token={token}", "--no-browser", "--allow-root"],
    }[name]
    with tempfile.TemporaryDirectory(prefix="bench-jupyter-") as folder:
        names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "TMPDIR")
        process = subprocess.Popen(
            [sys.executable, "-m", name, "--ip=127.0.0.1", f"--port={port}", *own],
            env={**os.environ, **dict.fromkeys(names, folder)},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(port, token)
            reach = {"jupyter_host": "127.0.0.1", "jupyter_port": port, "token": token}
            yield {"container": {**reach, "warm_kernels": _POOL}}
        finally:
            process.terminate()
            process.wait(60)


def _wait(port: int, token: str) -> None:
    until = time.monotonic() + _UP
    while True:
        try:
            httpx.get(
                f"http://127.0.0.1:{port}/api/kernelspecs", headers={"Authorization": f"token {token}"}, trust_env=False
            ).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
