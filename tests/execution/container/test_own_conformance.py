"""In a container of our own the engine contains what runs in it, and says so.

What it refuses to programs is looked at whenever it is opened; here is what more can be tried of it in a minute, and
`whole_conformance.py` beside it is all of the suite.
"""

from __future__ import annotations

import pytest
from tests.execution.container.own import Own

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import (
    EngineUnderTest,
    TestContract,
    TestIsolationOfProcesses,
    TestLoopback,
    bench,
)

__all__ = [
    "TestContract",
    "TestIsolationOfProcesses",
    "TestLoopback",
    "bench",
]
pytestmark = pytest.mark.timeout(400)  # the first test waits for the image


@pytest.fixture(scope="module")
def engine_under_test(own: Own) -> EngineUnderTest:
    config = own.config(warm_kernels=4)
    return EngineUnderTest(lambda: open_engine("container", config, home=own.home), loopback=False)
