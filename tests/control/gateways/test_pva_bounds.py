"""What one run's clients can make the PVAccess gateway hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from p4p.client.asyncio import Context
from tests.control.gateways.fake_source import FakeSource, sample
from tests.control.gateways.raw_client import RawClient, create, operate

from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.control.gateways import _pva_channels

MONITOR = 0x0D
MIB = 2**20


def held() -> int:
    """Return the bytes of this process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_a_client_that_does_not_read_is_not_waited_for_with_memory(port: int, source: FakeSource) -> None:
    """200 MiB of changes; what is kept of them is what fits the buffers of sockets, and a few."""
    source.now["G:LARGE"] = sample("G:LARGE", np.zeros(MIB // 8), "array")
    async with RawClient(port) as client:
        sid = await client.channel("G:LARGE")
        client.send(operate(MONITOR, sid, 5, 0x08))
        await client.answer(MONITOR)
        client.pause()
        client.send(operate(MONITOR, sid, 5, 0x44, b""))
        before = held()
        for number in range(200):
            source.set("G:LARGE", np.full(MIB // 8, float(number)))
            await asyncio.sleep(0.001)
        assert held() - before < 60 * MIB


async def test_requests_without_end_wait_for_their_answers(port: int, source: FakeSource) -> None:
    """Who sends and never reads is not read any more, once buffers are full."""
    async with RawClient(port) as client:
        sid = await client.channel("G:NUMBER")
        client.pause()
        flood = operate(0x10, sid, 5, 0x08) * 1000
        async with asyncio.timeout(60):
            while await client.takes(flood):
                pass
        assert source.calls


async def test_channels_are_counted(port: int, source: FakeSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pva_channels, "_MOST_CHANNELS", 2)
    async with RawClient(port) as client:
        client.send(create("G:ONE", "G:TWO", "G:ONE.VAL", "G:THREE"))
        assert [(await client.answer(7))[8] for _ in range(4)] == [0xFF, 0xFF, 0xFF, 3]


async def test_unknown_channels_hold_up_no_known_one(client: Context, source: FakeSource) -> None:
    """The broker answers a number of requests at the same time; those for what is not there must not take them all."""
    assert await asyncio.wait_for(client.get("G:NUMBER"), 20) == 1.5
    asked: list[str] = []
    full = asyncio.Event()
    answer = source.describe

    async def describe(channels: Sequence[str]) -> Mapping[str, Sample]:
        if channels[0] in source.now:
            return await answer(channels)
        asked.extend(channels)
        if len(asked) == 100:
            full.set()
        return await asyncio.Future()

    source.describe = describe
    pending = [asyncio.create_task(client.get(f"G:NOBODY{number}")) for number in range(150)]
    await asyncio.wait_for(full.wait(), 20)
    assert await asyncio.wait_for(client.get("G:NUMBER"), 20) == 1.5
    assert len(asked) == 100
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
