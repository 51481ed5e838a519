"""The local engine keeps the contract of every engine, as whoever runs the tests and as an ordinary user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import *
from osprey_executor.testing.engine_conformance import EngineUnderTest

AS_USER = """
import os, sys
from pathlib import Path
import pytest
SUITE = '''
import pytest
from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import *

@pytest.fixture(scope="module")
def engine_under_test():
    return EngineUnderTest(lambda: open_engine("local"))
'''
assert os.getuid() != 0
folder = Path(sys.argv[1])
folder.mkdir()
(folder / "test_suite.py").write_text(SUITE)
options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--rootdir={folder}", f"--basetemp={folder}/tmp"]
print("ended with", int(pytest.main([*options, str(folder / "test_suite.py")])))
"""


@pytest.fixture(scope="module")
def engine_under_test() -> EngineUnderTest:
    return EngineUnderTest(lambda: open_engine("local"))


@pytest.mark.timeout(400)
def test_it_does_so_as_an_ordinary_user(as_user: Callable[..., str], tmp_path: Path) -> None:
    """Under root the user is another one, who sees a /tmp of his own; else the suite runs once more."""
    told = as_user(AS_USER, "/tmp/conformance" if os.geteuid() == 0 else str(tmp_path / "suite"), patience=380)
    assert told.rstrip().endswith("ended with 0"), told[-20_000:]
    assert "skipped" not in told
