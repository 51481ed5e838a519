"""The isolation part of the suite against an engine that contains nothing; test_conformance_canaries.py runs it."""

from __future__ import annotations

import pytest

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import *
from osprey_executor.testing.engine_conformance import EngineUnderTest


@pytest.fixture(scope="module")
def engine_under_test() -> EngineUnderTest:
    return EngineUnderTest(lambda: open_engine("local", {"isolation": "none"}), proven=False)
