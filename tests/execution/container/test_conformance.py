"""The container engine keeps the contract of every engine, as far as it makes it.

What depends on the way between service and kernel is tested here; `whole_conformance.py` beside it is all of the suite
that an engine can keep on a server that contains nothing, and takes some minutes.
"""

from __future__ import annotations

import pytest
from tests.execution.container.jupyter import Jupyter

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import (
    EngineUnderTest,
    TestContract,
    TestControl,
    TestEndOfTree,
    TestStreaming,
    bench,
)

__all__ = ["TestContract", "TestControl", "TestEndOfTree", "TestStreaming", "bench"]


@pytest.fixture(scope="module")
def engine_under_test(gateway: Jupyter, tmp_path_factory: pytest.TempPathFactory) -> EngineUnderTest:
    home = tmp_path_factory.mktemp("home")
    return EngineUnderTest(lambda: open_engine("container", gateway.config(warm_kernels=4), home=home), proven=False)
