"""The connector for Channel Access keeps the contract of every connector, against a real soft IOC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import ChannelKind, Connector, EpicsConnector, Timeouts
from osprey_executor.testing.connector_conformance import *
from osprey_executor.testing.connector_conformance import ChannelUnderTest, ConnectorUnderTest

QUICK = Timeouts(read=2.0, write=2.0)


@pytest.fixture(scope="module")
def connector_under_test(
    ioc_of_module: Any, start_ioc_anywhere: Callable[[], AbstractAsyncContextManager[Any]]
) -> ConnectorUnderTest:
    @asynccontextmanager
    async def losing() -> AsyncIterator[tuple[Connector, Callable[[], None]]]:
        async with start_ioc_anywhere() as ioc:
            connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=QUICK)
            await connector.connect()
            try:
                yield connector, ioc.kill
            finally:
                await connector.close()

    row = np.array([1.0, 2.0, 3.0])
    return ConnectorUnderTest(
        make=lambda: EpicsConnector([f"127.0.0.1:{ioc_of_module.port}"], timeouts=QUICK),
        channels=(
            ChannelUnderTest("T:NUMBER", ChannelKind.NUMBER, ((2.5, 2.5), (99.0, 10.0)), units="A"),
            ChannelUnderTest("T:WHOLE", ChannelKind.NUMBER, ((8, 8), (7, 7)), units="turns"),
            ChannelUnderTest("T:STATE", ChannelKind.ENUM, (("On", "On"), (0, "Off"), ("Standby", "Standby"))),
            ChannelUnderTest("T:TEXT", ChannelKind.TEXT, (("b", "b"), ("hello", "hello"))),
            ChannelUnderTest("T:TEXT.VAL$", ChannelKind.TEXT, (("x" * 38, "x" * 38), ("hello", "hello"))),
            ChannelUnderTest("T:ROW", ChannelKind.ARRAY, ((row, [1.0, 2.0, 3.0]), (row[:1], [1.0]))),
        ),
        unknown="T:NOBODY",
        invalid=("T:NEVER",),
        locked=("T:LOCKED",),
        losing=losing,
    )
