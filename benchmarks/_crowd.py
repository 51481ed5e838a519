"""Many requests at once: how long until all have their result, and how long the event loop does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

from _live import ask, opened, service
from _report import Line

REQUESTS = 32
_CODE = "import time\ntime.sleep(0.5)\nresults = {}\n"
_TICK = 0.002


def concurrent(rounds: int) -> list[Line]:
    """Thirty-two requests that each sleep half a second, against as many plain processes."""
    lines: list[Line] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-concurrent-") as home,
        opened(service(Path(home), _CODE)) as (loop, serving),
    ):
        loop.wait(ask(serving))
        plain, requests = list[tuple[float, float]](), list[tuple[float, float]]()
        for _ in range(rounds):
            plain.append(loop.wait(_all_at_once(_process)))
            requests.append(loop.wait(_all_at_once(lambda: ask(serving))))
    for name, seen, most_wall, most_stall in (("plain python", plain, None, None), ("requests", requests, 1.5, 50.0)):
        walls, stalls = zip(*seen, strict=True)
        what = f"{REQUESTS} {name} at once, each sleeping 0.5 s"
        lines.append(Line("concurrent", what, median(walls), "s", most_wall, spread=(min(walls), max(walls))))
        note = f"the worst of {rounds} rounds"
        lines.append(Line("concurrent", f"{name}: longest stall", max(stalls) * 1e3, "ms", most_stall, note=note))
    return lines


async def _all_at_once(subject: Callable[[], Coroutine[Any, Any, object]]) -> tuple[float, float]:
    """Return the wall time of all, and the longest time in which the loop did not come round, in seconds."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            worst = max(worst, time.perf_counter() - before - _TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    begun = time.perf_counter()
    await asyncio.gather(*(subject() for _ in range(REQUESTS)))
    wall = time.perf_counter() - begun
    await asyncio.sleep(2 * _TICK)  # a stall that has not ended yet counts too
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking
    return wall, worst


async def _process() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _CODE)
    if await process.wait():
        raise RuntimeError(f"plain python ended with {process.returncode}")
