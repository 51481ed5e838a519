"""Starts a container of ours, and keeps it only if it is seen to contain."""

from __future__ import annotations

import asyncio

from osprey_executor.config import ExecutionConfig
from osprey_executor.execution.container._open import open_container
from osprey_executor.execution.container.own import ContainerLimits, OwnContainer, Record
from osprey_executor.patience import uninterrupted

_MANAGED = {"execution_method": "container", "container": {"managed": True, "warm_kernels": 0}}


async def start_container(own: OwnContainer, limits: ContainerLimits, image: str | None = None) -> Record:
    """Start the container of a state folder and prove it, or end it again.

    Args:
        own: of which folder, and by docker or podman.
        limits: of the container as a whole.
        image: None: the one that `OwnContainer.build` makes.

    Raises:
        ConfigurationError: there is one already, or no such image.
        EngineUnavailableError: it cannot be started, or it was not seen to contain what runs in it.
        StorageError: it cannot be recorded.
    """
    record = await uninterrupted(asyncio.to_thread(own.up, limits, image))
    try:
        async with open_container(ExecutionConfig.model_validate(_MANAGED), home=own.home):
            return record
    except BaseException:
        await uninterrupted(asyncio.to_thread(own.down))
        raise
