"""The mock connector keeps the contract of every connector."""

from __future__ import annotations

import pytest

from osprey_executor.control import ChannelKind, MockConnector
from osprey_executor.testing.connector_conformance import *
from osprey_executor.testing.connector_conformance import ChannelUnderTest, ConnectorUnderTest


@pytest.fixture(scope="module")
def connector_under_test() -> ConnectorUnderTest:
    return ConnectorUnderTest(
        make=lambda: MockConnector({"T:NAME": "a", "T:ROW": [1.0, 2.0]}),
        channels=(
            ChannelUnderTest("T:CURRENT", ChannelKind.NUMBER, ((1.0, 1.0), (2.5, 2.5)), units="A"),
            ChannelUnderTest("T:NAME", ChannelKind.TEXT, (("b", "b"), ("a", "a"))),
            ChannelUnderTest("T:ROW", ChannelKind.ARRAY, (([3.0], [3.0]), ([1.0, 2.0], [1.0, 2.0]))),
        ),
        unknown=None,
        archived="T:CURRENT",
    )
