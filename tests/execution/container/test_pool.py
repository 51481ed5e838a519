"""Kernels are handed out once, never more than there may be, and none is lost when somebody stops waiting."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from osprey_executor.errors import ContainerConnectivityError
from osprey_executor.execution.container._kernel import Kernel
from osprey_executor.execution.container._pool import KernelPool


class Fake:
    """A kernel that is nothing but usable."""

    def __init__(self) -> None:
        self.usable = True


class World:
    """Starts and ends kernels at command."""

    def __init__(self, *, warm: int = 0, most: int = 2) -> None:
        self.living: list[Fake] = []
        self.most = 0
        self.failing = False
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.pool = KernelPool(cast(Any, self.start), cast(Any, self.end), warm=warm, most=most)

    async def start(self) -> Fake:
        await self.may_start.wait()
        if self.failing:
            raise ContainerConnectivityError("nobody answers")
        kernel = Fake()
        self.living.append(kernel)
        self.most = max(self.most, len(self.living))
        return kernel

    async def end(self, kernel: Fake) -> None:
        await asyncio.sleep(0)
        self.living.remove(kernel)


async def test_more_than_there_may_be_wait_for_their_turn() -> None:
    world = World(most=2)
    used: list[Kernel] = []

    async def run() -> None:
        kernel = await world.pool.take()
        assert kernel not in used
        used.append(kernel)
        await asyncio.sleep(0)
        world.pool.give_back(kernel)

    await asyncio.gather(*(run() for _ in range(20)))
    await world.pool.close()
    assert (len(used), world.most, world.living) == (20, 2, [])


async def test_a_warm_one_is_handed_out_and_one_that_died_is_not() -> None:
    world = World(warm=2, most=4)
    world.pool.tend_at_once()
    await world.pool.settled()
    assert world.pool.ready == 2
    dead, good = world.living
    dead.usable = False
    assert await world.pool.take() is good
    await world.pool.settled()
    assert world.living == [good]
    world.pool.give_back(cast(Any, good))
    await world.pool.close()
    assert world.living == []


async def test_a_kernel_that_nobody_waits_for_any_more_is_kept_or_ended() -> None:
    world = World(most=1)
    world.may_start.clear()
    waiting = asyncio.create_task(world.pool.take())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    world.may_start.set()
    await world.pool.settled()
    kernel = await world.pool.take()
    world.pool.give_back(kernel)
    await world.pool.close()
    assert world.living == []


async def test_who_waits_is_told_that_none_is_to_be_had_and_the_next_may_get_one() -> None:
    world = World(most=1)
    world.failing = True
    for _ in range(3):
        with pytest.raises(ContainerConnectivityError):
            await world.pool.take()
    world.failing = False
    world.pool.give_back(await world.pool.take())
    await world.pool.close()
    assert world.living == []


async def test_closing_ends_who_waits() -> None:
    world = World(most=1)
    kernel = await world.pool.take()
    waiting = asyncio.create_task(world.pool.take())
    await asyncio.sleep(0)
    world.pool.give_back(kernel)
    await world.pool.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert world.living == []
