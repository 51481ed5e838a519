"""Seconds spent in each room, added up over the attempts of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from osprey_executor.pipeline.state import State


@contextmanager
def timed(state: State, room: str) -> Generator[Callable[[], dict[str, float]]]:
    """Yield a function that returns the timings of the run with what has passed until now added to `room`."""
    begun = time.monotonic()
    yield lambda: with_time(state, room, time.monotonic() - begun).get("timings", {})


def with_time(state: State, room: str, seconds: float) -> State:
    """Return the state with `seconds` added to `room`."""
    before = state.get("timings", {})
    return {**state, "timings": {**before, room: before.get(room, 0.0) + seconds}}
