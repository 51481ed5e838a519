"""The contract of every connector, as tests.

Import everything into a test module and tell in one fixture which connector is meant, and which of its channels may be
written to whatever value:

```python
import pytest

from my_site.connectors import MyConnector
from osprey_executor.control import ChannelKind
from osprey_executor.testing.connector_conformance import *


@pytest.fixture(scope="module")
def connector_under_test() -> ConnectorUnderTest:
    return ConnectorUnderTest(
        make=lambda: MyConnector({"host": "127.0.0.1"}),
        channels=(ChannelUnderTest("TEST:CURRENT", ChannelKind.NUMBER, writes=((1.0, 1.0), (2.5, 2.5))),),
        unknown="TEST:NOBODY",
    )
```

The tests are plain functions that run the event loop themselves, so no plug-in of pytest is needed.
"""

from osprey_executor.testing.connector_conformance._bench import (
    ChannelUnderTest,
    ConnectorBench,
    ConnectorUnderTest,
    connector_bench,
)
from osprey_executor.testing.connector_conformance._beyond import TestCalls, TestHistory
from osprey_executor.testing.connector_conformance._contract import TestContract, TestLoss
from osprey_executor.testing.connector_conformance._monitoring import TestMonitoring
from osprey_executor.testing.connector_conformance._reading import TestReading
from osprey_executor.testing.connector_conformance._writing import TestWriting

__all__ = [
    "ChannelUnderTest",
    "ConnectorBench",
    "ConnectorUnderTest",
    "TestCalls",
    "TestContract",
    "TestHistory",
    "TestLoss",
    "TestMonitoring",
    "TestReading",
    "TestWriting",
    "connector_bench",
]
