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
    before = state.get("timings", {})
    yield lambda: {**before, room: before.get(room, 0.0) + time.monotonic() - begun}
