"""What a program says it will write, as far as it is channels with a range each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from osprey_executor.control.broker._names import channel_name
from osprey_executor.errors import InvalidRequestError


def declared_ranges(ranges: Mapping[str, tuple[float, float]], most: int) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value by canonical name.

    Raises:
        InvalidRequestError: not at most `most` channels with a lowest and a highest value each.
    """
    if len(ranges) > most:
        raise InvalidRequestError(f"{len(ranges)} channels declared: at most {most}")
    told: dict[str, tuple[float, float]] = {}
    try:
        for name, (low, high) in ranges.items():
            told[channel_name(name).canonical] = (float(low), float(high))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"declare_writes takes {{channel: (lowest, highest)}}: {error}") from None
    if not all(math.isfinite(low) and math.isfinite(high) and low <= high for low, high in told.values()):
        raise InvalidRequestError("declare_writes takes finite numbers, the lowest first")
    return told
