"""A few threads for the files and the analysis of all runs, so that many runs at once do not hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_FEW = 2
"""Each thread that computes can keep the event loop waiting for a switch interval (5 ms), so the default pool, of six
or far more, would stall it. Two write while one waits for the disk."""


class InThread(Protocol):
    """Runs a function in a thread and waits for it, as `asyncio.to_thread` does."""

    async def __call__(self, func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what `func` returns."""
        ...


@contextmanager
def few_threads() -> Generator[InThread]:
    """Yield what runs functions in few threads. On leaving, what was begun there comes to its end by itself."""
    threads = ThreadPoolExecutor(_FEW, thread_name_prefix="osprey-executor")

    async def in_thread(func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await asyncio.get_running_loop().run_in_executor(threads, partial(func, *args, **kwargs))

    try:
        yield in_thread
    finally:
        threads.shutdown(wait=False)
