"""All of the suite that an engine can keep on a server that contains nothing.

It takes some minutes: `make test-engines` runs it, and `whole_own_conformance.py` beside it. Left out:
`TestIsolation...`, as nothing isolates; what needs a file system of limited size, or a `/tmp`, `/dev/shm` and `/proc`
of its own; and that every run has the same folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.execution.container.jupyter import Jupyter

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import *
from osprey_executor.testing.engine_conformance import (
    TestIsolationOfFiles,
    TestIsolationOfKernel,
    TestIsolationOfNetwork,
    TestIsolationOfProcesses,
)

del TestIsolationOfFiles, TestIsolationOfKernel, TestIsolationOfNetwork, TestIsolationOfProcesses

OTHERWISE = (
    "a_hundred_thousand_files_are_bounded",
    "deep_nesting_ends_somewhere",
    "shared-memory-files",
    "test_bytes_in_many_files",
    "test_bytes_in_one_file",
    "refusal_the_program_passes_over",
    "test_bytes_in_tmp",
    "emptied_again_is_whole",
    "the current folder]",
    "the search path]",
    "files in /tmp]",
    "threads and children]",
)


@pytest.fixture(autouse=True)
def _kept(request: pytest.FixtureRequest) -> Iterator[None]:
    if any(name in request.node.nodeid for name in OTHERWISE):
        request.applymarker(pytest.mark.xfail(strict=True, reason="needs containment"))
    yield
    for name in ("left", "0", "1", "2", "3"):  # what the suite leaves where nothing is contained
        Path("/dev/shm", name).unlink(missing_ok=True)


@pytest.fixture(scope="module", params=["gateway", "server"])
def engine_under_test(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EngineUnderTest:
    jupyter: Jupyter = request.getfixturevalue(request.param)
    home = tmp_path_factory.mktemp("home")
    return EngineUnderTest(lambda: open_engine("container", jupyter.config(warm_kernels=4), home=home), proven=False)
