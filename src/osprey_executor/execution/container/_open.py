"""Prepares a container engine: asks the server, removes the kernels of services that were killed, starts its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from osprey_executor.config import ExecutionConfig, state_folder
from osprey_executor.errors import ContainerConnectivityError, MissingExtraError
from osprey_executor.execution.container._engine import ContainerEngine
from osprey_executor.execution.container._kernel import Kernel
from osprey_executor.execution.container._ledger import Ledger
from osprey_executor.execution.container._pool import KernelPool
from osprey_executor.execution.container._proof import Proof
from osprey_executor.execution.container._sandbox import unwalled, walled
from osprey_executor.execution.container._server import JupyterServer
from osprey_executor.execution.container.own import Record, read_record
from osprey_executor.execution.local._root import temporary_root

_FOLDER = "kernels"
_TRIES = 2
"""Kernels that may be lost while they are made ready, before that is told."""


class _Cut(ContainerConnectivityError):
    """The connection to a kernel broke before it was ready."""


@asynccontextmanager
async def open_container(config: ExecutionConfig, *, home: Path | None = None) -> AsyncGenerator[ContainerEngine]:
    """Open the container engine; see `open_engine`.

    Raises:
        ContainerConnectivityError: no server answers.
        ContainerConfigurationError: it refuses the token, or is not what the configuration says.
        EngineUnavailableError: a container of ours was not seen to contain what runs in it.
        MissingExtraError: the extra `container` is not installed.
    """
    try:
        import websockets as _  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("execution_method: container", "container") from error
    section, home = config.container, home or state_folder()
    record = await asyncio.to_thread(_started, home) if section.managed else None
    specify = unwalled if record is None else walled
    async with contextlib.AsyncExitStack() as life:
        place = contextlib.ExitStack()
        life.push_async_callback(asyncio.to_thread, place.close)
        root = await asyncio.to_thread(place.enter_context, temporary_root())
        server = JupyterServer(section, record.socket if record is not None else None)
        life.push_async_callback(server.close)
        await server.check()
        ledger = await asyncio.to_thread(Ledger, home / _FOLDER, server.url)
        place.callback(ledger.close)
        await _sweep(ledger, server)

        async def start() -> Kernel:
            for _ in range(_TRIES):
                with contextlib.suppress(_Cut):
                    return await start_one()
            return await start_one()

        async def start_one() -> Kernel:
            ident = await server.start_kernel()
            kernel: Kernel | None = None
            try:
                await asyncio.to_thread(ledger.add, ident)
                kernel = Kernel(server, ident, patience=section.patience, reconnect=section.reconnect)
                await kernel.prepare(specify(config.limits))
            except BaseException as error:
                cut = kernel is not None and not kernel.usable and isinstance(error, ContainerConnectivityError)
                gone = await (kernel.close() if kernel is not None else server.delete_kernel(ident))
                if gone:
                    ledger.remove(ident)
                if cut:
                    raise _Cut(str(error)) from error
                raise
            return kernel

        async def end(kernel: Kernel) -> None:
            if await kernel.close():
                ledger.remove(kernel.ident)

        pool = KernelPool(start, end, warm=section.warm_kernels, most=section.max_kernels)
        life.push_async_callback(pool.close)
        pool.tend_at_once()
        proof = Proof(record, home, pool, config.limits, root) if record is not None else None
        if proof is not None:
            await proof.prove()
        yield ContainerEngine(server.url, pool, config.limits, root, specify, proof)


def _started(home: Path) -> Record:
    record = read_record(home)
    if record is None:
        raise ContainerConnectivityError(
            f"execution.container.managed: no container of the state folder {home} is up: `osprey-executor container "
            "up` starts one"
        )
    return record


async def _sweep(ledger: Ledger, server: JupyterServer) -> None:
    """End the kernels of services that were killed."""
    for orphans in ledger.orphans():
        gone = [await server.delete_kernel(kernel) for kernel in orphans.kernels]
        if all(gone):
            orphans.settle()
