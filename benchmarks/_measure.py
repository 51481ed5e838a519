"""Measuring: what one command or call costs, several of them interleaved so that a busy moment hits all alike."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Seconds of one try. `cpu` is user and system time of the process and all that it waited for."""

    wall: float
    cpu: float


Subject = Callable[[], Cost]


class NotMeasured(Exception):
    """Something cannot be measured here; the message says why."""


def command(arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Subject:
    """Return a subject that runs a command to its end.

    Raises:
        RuntimeError: (when called) the command failed; a failure must not look like a fast success.
    """

    def run() -> Cost:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in arguments],
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}: {told.decode(errors='replace')[-800:]}")
        return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)

    return run


def interleave(subjects: Mapping[str, Subject], rounds: int) -> dict[str, list[Cost]]:
    """Run every subject once to warm up, then all of them in turn, `rounds` times."""
    for subject in subjects.values():
        subject()
    costs: dict[str, list[Cost]] = {name: [] for name in subjects}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name, subject in subjects.items():
            costs[name].append(subject())
    tell("")
    return costs


def tell(progress: str) -> None:
    """Show how far it is where a person watches, in place of what was shown before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{progress and '  ' + progress}", end="", file=sys.stderr, flush=True)


def percentile(costs: Sequence[Cost], what: str, share: float) -> float:
    """Return the `wall` or `cpu` time that `share` of the tries keep, in seconds; 0.5 is the median."""
    values = sorted(getattr(cost, what) for cost in costs)
    return statistics.median(values) if share == 0.5 else values[math.ceil(share * len(values)) - 1]


def spread(costs: Sequence[Cost], what: str, scale: float = 1.0) -> tuple[float, float]:
    """Return the smallest and the largest of `wall` or `cpu`, in seconds times `scale`."""
    values = [getattr(cost, what) * scale for cost in costs]
    return min(values), max(values)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    # A user's Python keeps its byte code; with it off, every start would compile the package again.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **(more or {})}
