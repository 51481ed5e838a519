"""The contract of every engine, as tests.

Import everything into a test module and tell in one fixture which engine is meant:

```python
import pytest

from my_site.engines import open_my_engine
from osprey_executor.testing.engine_conformance import *
from osprey_executor.testing.engine_conformance import EngineUnderTest


@pytest.fixture(scope="module")
def engine_under_test() -> EngineUnderTest:
    return EngineUnderTest(open_my_engine)
```

The tests are plain functions that run the event loop themselves, so no plug-in of pytest is needed, and any mode of
pytest-asyncio will do. They use the public protocol alone.
"""

from osprey_executor.testing.engine_conformance._artifacts import TestArtifacts, TestHostileArtifacts
from osprey_executor.testing.engine_conformance._bench import Bench, EngineUnderTest, bench
from osprey_executor.testing.engine_conformance._codec import TestCodec
from osprey_executor.testing.engine_conformance._contract import TestContract
from osprey_executor.testing.engine_conformance._control import TestControl
from osprey_executor.testing.engine_conformance._end_of_tree import TestEndOfTree
from osprey_executor.testing.engine_conformance._ends import TestEnds
from osprey_executor.testing.engine_conformance._forgery import TestForgery
from osprey_executor.testing.engine_conformance._isolation_files import TestIsolationOfFiles
from osprey_executor.testing.engine_conformance._isolation_kernel import TestIsolationOfKernel
from osprey_executor.testing.engine_conformance._isolation_network import TestIsolationOfNetwork, TestLoopback
from osprey_executor.testing.engine_conformance._isolation_processes import (
    TestIsolationOfProcesses,
    TestNothingInherited,
)
from osprey_executor.testing.engine_conformance._limits import TestLimits
from osprey_executor.testing.engine_conformance._limits_disk import TestLimitsOfDisk
from osprey_executor.testing.engine_conformance._programs import TestPrograms
from osprey_executor.testing.engine_conformance._state import TestNoState
from osprey_executor.testing.engine_conformance._streaming import TestStreaming

__all__ = [
    "Bench",
    "EngineUnderTest",
    "TestArtifacts",
    "TestCodec",
    "TestContract",
    "TestControl",
    "TestEndOfTree",
    "TestEnds",
    "TestForgery",
    "TestHostileArtifacts",
    "TestIsolationOfFiles",
    "TestIsolationOfKernel",
    "TestIsolationOfNetwork",
    "TestIsolationOfProcesses",
    "TestLimits",
    "TestLimitsOfDisk",
    "TestLoopback",
    "TestNoState",
    "TestNothingInherited",
    "TestPrograms",
    "TestStreaming",
    "bench",
]
