"""The virtual accelerator keeps the contract of every connector."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from osprey_executor.control import ChannelKind, Connector, SimulatorConnector, Timeouts
from osprey_executor.testing.connector_conformance import *
from osprey_executor.testing.connector_conformance import ChannelUnderTest, ConnectorUnderTest

QUICK = Timeouts(read=2.0, write=2.0)


@asynccontextmanager
async def losing() -> AsyncIterator[tuple[Connector, Callable[[], None]]]:
    connector = SimulatorConnector(timeouts=QUICK)
    await connector.connect()
    pid = connector.pid
    assert pid is not None
    try:
        yield connector, lambda: os.kill(pid, signal.SIGKILL)
    finally:
        await connector.close()


@pytest.fixture(scope="module")
def connector_under_test() -> ConnectorUnderTest:
    return ConnectorUnderTest(
        make=lambda: SimulatorConnector(timeouts=QUICK),
        channels=(
            ChannelUnderTest("VA:HCM:01:SP", ChannelKind.NUMBER, ((0.1, 0.1), (0.0, 0.0)), units="A"),
            ChannelUnderTest("VA:ORBIT:X", ChannelKind.ARRAY, units="mm"),
            ChannelUnderTest("VA:ID", ChannelKind.TEXT),
        ),
        unknown="VA:NOBODY",
        losing=losing,
    )
