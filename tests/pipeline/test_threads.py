"""The threads of the pipeline: few at once, whatever number of runs, and gone with the service."""

from __future__ import annotations

import asyncio
import threading

import pytest

from osprey_executor.pipeline.threads import few_threads


async def test_two_work_at_once_and_the_others_wait() -> None:
    both = threading.Barrier(2)
    names: set[str] = set()

    def work() -> None:
        both.wait(10)  # passes only where two work at the same time
        names.add(threading.current_thread().name)

    with few_threads() as in_thread:
        await asyncio.gather(*(in_thread(work) for _ in range(20)))
    assert len(names) == 2


async def test_what_a_function_raises_is_raised_and_what_it_returns_is_returned() -> None:
    def divide(one: int, *, by: int) -> float:
        return one / by

    with few_threads() as in_thread:
        assert await in_thread(divide, 3, by=2) == 1.5
        with pytest.raises(ZeroDivisionError):
            await in_thread(divide, 3, by=0)
