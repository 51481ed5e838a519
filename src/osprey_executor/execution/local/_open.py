"""Prepares a local engine: interpreter, guest library, filters, jail; and proves it before it is handed out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution.local import _seccomp
from osprey_executor.execution.local._cgroup_places import find_places
from osprey_executor.execution.local._cgroups import control_groups
from osprey_executor.execution.local._engine import LocalEngine
from osprey_executor.execution.local._fonts import Fonts
from osprey_executor.execution.local._gateways import GatewayPool
from osprey_executor.execution.local._interpreter import find_interpreter
from osprey_executor.execution.local._jail import JailSandbox, Walls
from osprey_executor.execution.local._limit_probes import LimitProber
from osprey_executor.execution.local._network import Network
from osprey_executor.execution.local._plain import PlainSandbox
from osprey_executor.execution.local._pool import Pool
from osprey_executor.execution.local._probes import Expected, Prober
from osprey_executor.execution.local._restricted import RestrictedSandbox, RestrictedWalls
from osprey_executor.execution.local._root import temporary_root
from osprey_executor.execution.local._sandbox import Job
from osprey_executor.execution.local._script import run_as_program, run_script
from osprey_executor.execution.local._server import ForkServer
from osprey_executor.execution.local._spare import Spare
from osprey_executor.execution.local._staging import stage_guest, stage_room
from osprey_executor.models import Gateways


@asynccontextmanager
async def open_local(
    config: ExecutionConfig,
    *,
    gateways: Gateways | None = None,
    walls: Walls | None = None,
    restricted_walls: RestrictedWalls | None = None,
) -> AsyncGenerator[LocalEngine]:
    """Open the local engine; see `open_engine`. Walls are for tests: an engine that lacks one is not proven."""
    interpreter = find_interpreter(config.python_env_path)
    async with contextlib.AsyncExitStack() as life:
        place = contextlib.ExitStack()
        life.push_async_callback(asyncio.to_thread, place.close)  # removing outputs may take a while
        root = await asyncio.to_thread(place.enter_context, temporary_root())
        library = await asyncio.to_thread(stage_guest, root)
        details: dict[str, Any] = {"guest": await asyncio.to_thread(_digest, library)}
        if config.isolation == "none":
            yield LocalEngine(
                PlainSandbox(interpreter, library), interpreter, config.limits, root, None, details, _nothing
            )
            return
        gateway_pool: GatewayPool | None = None
        sandbox: RestrictedSandbox | JailSandbox
        if config.isolation == "restricted":
            filters = await asyncio.to_thread(_seccomp.restricted_programs)
            sandbox = RestrictedSandbox(interpreter, library, root, filters, restricted_walls, config.data_folders)
            expected = Expected(shared=True, other_user=not sandbox.private_user and os.geteuid() == 0)
        else:
            both = await asyncio.to_thread(_seccomp.programs)
            filters = both.code
            room = await asyncio.to_thread(stage_room, root)
            network = Network(config.network)
            sandbox = JailSandbox(interpreter, library, room, both, walls, config.data_folders, network, gateways)
            if gateways is not None:
                details["gateways"] = [kind.kind for kind in gateways.kinds]
                own = JailSandbox(find_interpreter(None), _packages(), room, both)
                gateway_pool = GatewayPool(own, gateways)
                life.push_async_callback(gateway_pool.close)
            expected = Expected(top=tuple(sandbox.top), environment=tuple(gateways.environment) if gateways else ())
        details |= {"seccomp": hashlib.sha256(b"".join(filters)).hexdigest(), "visible": sandbox.visible_paths}
        if config.network:
            details["network"] = list(config.network)
        prober = Prober(functools.partial(run_script, sandbox), interpreter, expected, root, sandbox.library)
        with_groups = all(given is None or given.groups for given in (walls, restricted_walls))
        places = await asyncio.to_thread(find_places) if with_groups else ()
        groups = await asyncio.to_thread(place.enter_context, control_groups(root.name.rpartition("-")[2], places))
        fonts = await asyncio.to_thread(Fonts, sandbox, interpreter, root)
        engine = LocalEngine(
            sandbox, interpreter, config.limits, root, prober, details, fonts.wanted, network=config.network
        )
        engine.groups = sandbox.groups = groups
        engine.gateways = gateway_pool
        alone = functools.partial(run_script, sandbox.by_groups_alone())
        engine.limit_prober = LimitProber(prober.run, root, engine.isolation.enforced, alone)
        if isinstance(sandbox, JailSandbox) and config.fork_server.enabled:
            engine.pool = sandbox.pool = _pool(sandbox, prober, config)
            life.push_async_callback(engine.pool.close)
        if walls is None and restricted_walls is None:
            await engine.prove()
        try:
            yield engine
            await fonts.settle()
        finally:
            await fonts.stop()


def _pool(sandbox: JailSandbox, prober: Prober, config: ExecutionConfig) -> Pool:
    async def prove(server: ForkServer) -> None:
        def begin(job: Job) -> Spare:
            spare = server.spawn()
            spare.begin(job, server.fetch)
            return spare

        await replace(prober, run=functools.partial(run_as_program, begin), small=config.limits).prove()

    start = functools.partial(sandbox.start_server, config.limits, config.fork_server.preload)
    return Pool(start, prove, config.limits, config.fork_server)


def _packages() -> Path:
    """Return the folder on `sys.path` in which this package is, for processes of our own."""
    return Path(__file__).resolve().parents[3]


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _nothing() -> None:
    return None
