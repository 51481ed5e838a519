"""On a Jupyter Server the way between service and kernel is another one, and the same holds."""

from __future__ import annotations

import pytest
from tests.execution.container.jupyter import Jupyter

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import EngineUnderTest, TestControl, bench

__all__ = ["TestControl", "bench"]


@pytest.fixture(scope="module")
def engine_under_test(server: Jupyter, tmp_path_factory: pytest.TempPathFactory) -> EngineUnderTest:
    home = tmp_path_factory.mktemp("home")
    return EngineUnderTest(lambda: open_engine("container", server.config(warm_kernels=2), home=home), proven=False)
