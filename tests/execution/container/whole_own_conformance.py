"""All of the suite in a container of our own, where programs have the walls of restricted isolation.

It takes some minutes: `make test-engines` runs it. What is otherwise is what those walls take from programs.
"""

from __future__ import annotations

import pytest
from tests.execution.container.own import Own

from osprey_executor.execution import open_engine
from osprey_executor.testing.engine_conformance import *

OTHERWISE = (
    "a_hundred_thousand_files_are_bounded",
    "deep_nesting_ends_somewhere",
    "folder_is_empty_and_the_programs_own",
    "left_out_with_a_note[socket]",
    "shared-memory-files",
    "test_bytes_in_many_files",
    "test_bytes_in_one_file",
    "refusal_the_program_passes_over",
    "test_bytes_in_tmp",
    "emptied_again_is_whole",
    "the current folder]",
    "the search path]",
    "threads and children]",
    "[machine]",
    "[multiprocessing-fork]",
    "[multiprocessing-spawn]",
    "[process-pool]",
    "[shared-memory]",
    "[subprocess]",  # the image has a shell, and no programs beside it
)


@pytest.fixture(autouse=True)
def _otherwise(request: pytest.FixtureRequest) -> None:
    if any(name in request.node.nodeid for name in OTHERWISE):
        request.applymarker(pytest.mark.xfail(strict=True, reason="walls of restricted isolation"))


@pytest.fixture(scope="module")
def engine_under_test(own: Own) -> EngineUnderTest:
    config = own.config(warm_kernels=4)
    return EngineUnderTest(lambda: open_engine("container", config, home=own.home), loopback=False)
