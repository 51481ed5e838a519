"""The connector for PVAccess keeps the contract of every connector, against a real p4p server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from osprey_executor.control import ChannelKind, Connector, PvaConnector, Timeouts
from osprey_executor.testing.connector_conformance import *
from osprey_executor.testing.connector_conformance import ChannelUnderTest, ConnectorUnderTest

QUICK = Timeouts(read=2.0, write=2.0)


@pytest.fixture(scope="module")
def connector_under_test(
    pva_of_module: Any, start_pva: Callable[[], AbstractAsyncContextManager[Any]]
) -> ConnectorUnderTest:
    @asynccontextmanager
    async def losing() -> AsyncIterator[tuple[Connector, Callable[[], None]]]:
        async with start_pva() as server:
            connector = PvaConnector([f"127.0.0.1:{server.port}"], timeouts=QUICK)
            await connector.connect()
            try:
                yield connector, server.kill
            finally:
                await connector.close()

    row = np.array([1.0, 2.0, 3.0])
    return ConnectorUnderTest(
        make=lambda: PvaConnector([f"127.0.0.1:{pva_of_module.port}"], timeouts=QUICK),
        channels=(
            ChannelUnderTest("P:NUMBER", ChannelKind.NUMBER, ((2.5, 2.5), (3.5, 3.5)), units="A"),
            ChannelUnderTest("P:WHOLE", ChannelKind.NUMBER, ((2**40, 2**40), (7, 7))),
            ChannelUnderTest("P:STATE", ChannelKind.ENUM, (("On", "On"), (0, "Off"), ("Standby", "Standby"))),
            ChannelUnderTest("P:FLAG", ChannelKind.ENUM, ((0, False), ("true", True))),
            ChannelUnderTest("P:TEXT", ChannelKind.TEXT, (("b", "b"), ("hello", "hello"))),
            ChannelUnderTest("P:ROW", ChannelKind.ARRAY, ((row, [1.0, 2.0, 3.0]), (row[:1], [1.0]))),
            ChannelUnderTest("P:TABLE", ChannelKind.TABLE),
        ),
        unknown="P:NOBODY",
        invalid=("P:INVALID",),
        locked=("P:LOCKED",),
        command=("P:COMMAND", {"number": 21.0}, 42.0),
        losing=losing,
    )
