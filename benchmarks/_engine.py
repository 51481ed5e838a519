"""What one isolated run costs, bare and with a figure, and how many run in a second."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from _live import TRIVIAL, Loop, opened, run
from _measure import command, interleave
from _report import Line, against, cost

from osprey_executor.execution import Engine, open_engine

PASS = "python -c pass"
READY = "import numpy, pandas, matplotlib.pyplot\nresults = {'total': float(numpy.arange(1000.0).sum())}\n"
FIGURE = READY + "matplotlib.pyplot.plot(numpy.sin(numpy.arange(1000.0) / 50))\n"
_BURST = 2.0
"""Seconds of one round of `throughput`."""


def engine(rounds: int) -> list[Line]:
    """One run in an engine that is warm, with the three large packages imported, against starting Python."""
    what = "warm isolated run, three imports"
    with _warm() as (loop, local):
        subjects = {PASS: command([sys.executable, "-c", "pass"]), what: loop.subject(lambda: run(local, READY))}
        costs = interleave(subjects, rounds)
    return [
        *cost("engine", costs, baseline=PASS),
        against("engine", what, costs, PASS, 0.5, goal=0.5),
        against("engine", what, costs, PASS, 0.99, goal=1.5),
    ]


def figure(rounds: int) -> list[Line]:
    """The same with one figure, against plain Python that imports, plots and saves it."""
    plain, what = "plain python, one PNG", "warm isolated run, one PNG"
    with (
        tempfile.TemporaryDirectory(prefix="bench-figure-") as temporary,
        _warm() as (loop, local),
    ):
        script = Path(temporary, "code.py")
        script.write_text(f"{FIGURE}matplotlib.pyplot.savefig({str(Path(temporary, 'figure.png'))!r})\n")
        by_hand = command([sys.executable, script], {"MPLBACKEND": "Agg"})
        costs = interleave({plain: by_hand, what: loop.subject(lambda: _drawn(local))}, rounds)
    return [*cost("figure", costs, baseline=plain), against("figure", what, costs, plain, 0.5, goal=0.15)]


def throughput(rounds: int) -> list[Line]:
    """Runs in a second with two clients, each of which asks again as soon as it has an answer."""
    by_hand = command([sys.executable, "-c", TRIVIAL])
    plain, isolated = list[float](), list[float]()
    with _warm() as (loop, local):
        for _ in range(rounds):
            plain.append(loop.wait(_rate(lambda: asyncio.to_thread(by_hand))))
            isolated.append(loop.wait(_rate(lambda: run(local, TRIVIAL))))
    base = median(plain)
    return [
        Line("throughput", what, median(found), "/s", goal, True, median(found) / base, (min(found), max(found)))
        for what, found, goal in (
            ("plain python, two clients", plain, None),
            ("isolated runs, two clients", isolated, 200),
        )
    ]


@contextmanager
def _warm() -> Iterator[tuple[Loop, Engine]]:
    """Open an engine whose fork server is ready: a probe waits for it, however long a busy machine takes."""
    with opened(open_engine("local", {"isolation": "full"})) as (loop, local):
        loop.wait(local.probe())
        yield loop, local


async def _rate(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    begun = time.perf_counter()

    async def client() -> int:
        count = 0
        while time.perf_counter() - begun < _BURST:
            await work()
            count += 1
        return count

    counts = await asyncio.gather(client(), client())
    return sum(counts) / (time.perf_counter() - begun)


async def _drawn(local: Engine) -> None:
    outcome = await run(local, FIGURE)
    if len(outcome.figures) != 1:
        raise RuntimeError(f"the engine brought {len(outcome.figures)} figures instead of one")
