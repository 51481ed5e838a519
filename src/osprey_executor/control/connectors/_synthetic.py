"""Made-up history: the same for a channel and a moment on every machine, and ending in what the channel holds now."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from typing import Any

from osprey_executor.errors import MissingExtraError
from osprey_executor.models import History

_STEPS = (1, 2, 5, 10, 30, 60, 300, 600, 3600, 86400, 604800)
_MOST_VALUES = 10_000
_SLOW, _FAST = 3600.0, 300.0
"""Periods in seconds, which each channel stretches a little."""


def synthetic(
    channel: str,
    base: float,
    amplitude: float,
    written: Sequence[tuple[float, float]],
    start: float,
    end: float,
    bin: float | None,
    units: str,
) -> History:
    """Return values that sway around `base` by at most `amplitude`, none of them from the future.

    Args:
        channel: decides the phases.
        base: what it held before anything was written.
        amplitude: of the swaying.
        written: times in seconds since 1970, and values, which hold from then on.
        start: in seconds since 1970.
        end: the same.
        bin: whole seconds for one value; None: every second, or rarer over a long time.
        units: of the values.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    try:
        import numpy as np
    except ModuleNotFoundError as error:
        raise MissingExtraError("history (numpy)", "science") from error
    last = min(end, time.time())
    step = int(bin) if bin else next((one for one in _STEPS if (last - start) / one <= _MOST_VALUES), _STEPS[-1])
    # As an archiver's bins: multiples of the width since 1970, told by their middle.
    shift = step // 2 if bin else 0
    first = math.ceil((start - shift) / step)
    times = np.arange(first, max(math.floor((last - shift) / step) + 1, first), dtype=np.int64) * step + shift
    digest = hashlib.sha256(channel.encode()).digest()
    values: Any = np.full(times.size, base)
    for share, period, at in ((0.6, _SLOW, 0), (0.4, _FAST, 4)):
        stretched = period * (1.0 + digest[at] / 512.0)
        phase = 2.0 * math.pi * digest[at + 1] / 256.0
        values += share * amplitude * np.sin(2.0 * math.pi * times / stretched + phase)
    for when, value in written:
        values[times >= when] = value
    return History(
        channel=channel,
        times=(times * 1_000_000_000).astype("datetime64[ns]"),
        values=values,
        severities=np.zeros(times.size, dtype=np.uint8),
        units=units,
    )
