"""Monitors: the present value first, then changes, the newest never lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from osprey_executor.errors import ChannelDisconnectedError
from osprey_executor.testing.connector_conformance._bench import ConnectorBench, same


class TestMonitoring:
    """Values as they come."""

    def test_the_present_value_of_each_channel_comes_first(self, connector_bench: ConnectorBench) -> None:
        names = {channel.name for channel in connector_bench.expected.channels}

        async def watch() -> None:
            monitored = connector_bench.connector.monitor(sorted(names))
            missing = set(names)
            async for sample in monitored:
                missing.discard(sample.channel)
                if not missing:
                    break
            assert missing == set()
            await monitored.aclose()

        connector_bench.wait(watch())

    def test_a_change_comes_and_the_newest_is_not_lost(self, connector_bench: ConnectorBench) -> None:
        number = connector_bench.expected.number

        async def watch() -> None:
            monitored = connector_bench.connector.monitor([number.name])
            await anext(monitored)
            for written, _ in number.writes * 5:
                await connector_bench.connector.write(number.name, written)
            # Only now is any of them taken.
            await _until(monitored, number.writes[-1][1])
            await monitored.aclose()

        connector_bench.wait(watch())

    def test_two_monitors_of_a_channel_are_apart(self, connector_bench: ConnectorBench) -> None:
        number = connector_bench.expected.number

        async def watch() -> None:
            connector = connector_bench.connector
            await connector.write(number.name, number.writes[-1][0])
            one, other = connector.monitor([number.name]), connector.monitor([number.name])
            await anext(one)
            await anext(other)
            await one.aclose()
            (written, read) = number.writes[0]
            taken = asyncio.create_task(_until(other, read))
            await connector.write(number.name, written)
            await taken
            await other.aclose()

        connector_bench.wait(watch())

    def test_an_unknown_channel_is_named(self, connector_bench: ConnectorBench) -> None:
        unknown, number = connector_bench.expected.unknown, connector_bench.expected.number.name

        async def watch(names: list[str]) -> None:
            monitored = connector_bench.connector.monitor(names)
            seen: set[str] = set()
            async for sample in monitored:
                seen.add(sample.channel)
                if seen == set(names):
                    break
            await monitored.aclose()

        if unknown is None:
            connector_bench.wait(watch([number, "CONFORMANCE:ANY:NAME"]))
            return
        with pytest.raises(ChannelDisconnectedError, match=unknown):
            connector_bench.wait(watch([number, unknown]))


async def _until(monitored: Any, value: Any) -> None:
    async for sample in monitored:
        if same(sample.value, value):
            return
    raise AssertionError(f"the monitor has ended before {value} came")
