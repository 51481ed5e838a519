"""Limits of several channels together: how far from where a run found them, and how many of them it writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, model_validator

from osprey_executor.control.limits._check import Past
from osprey_executor.control.limits._database import Breach, fits, is_pattern
from osprey_executor.control.limits._entry import Part, Positive
from osprey_executor.text import one_line

_ROUNDING = 1e-9
"""Of the bound: what binary fractions add to many small distances."""
_MOST_SHOWN = 4


class GroupLimits(Part):
    """Limits of a group of channels, within one run."""

    channels: Annotated[tuple[str, ...], Field(min_length=1, max_length=10_000)]
    """Canonical names, and patterns as in the rest of the database."""
    max_total_excursion: Positive | None = None
    """Most that the distances of all of them, from the values that they had when the run first came to write them, may
    add up to; in the units that they share."""
    max_channels: Annotated[int, Field(ge=1)] | None = None
    """How many of them one run may write."""

    _names: frozenset[str] = PrivateAttr()
    _patterns: tuple[str, ...] = PrivateAttr()

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max_total_excursion is None and self.max_channels is None:
            raise ValueError("needs max_total_excursion or max_channels")
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Part names and patterns: there may be many of the former."""
        self._names = frozenset(self.channels)
        self._patterns = tuple(one for one in self.channels if is_pattern(one))

    def holds(self, channel: str) -> bool:
        """Return whether a channel, by its canonical name, is in the group."""
        return channel in self._names or any(fits(one, channel) for one in self._patterns)

    def words(self, name: str) -> str:
        """Return the limits in words."""
        shown = ", ".join(one_line(one, 60) for one in self.channels[:_MOST_SHOWN])
        more = ", ..." if len(self.channels) > _MOST_SHOWN else ""
        bounds: list[str] = []
        if self.max_total_excursion is not None:
            bounds.append(f"their distances from the start add up to {self.max_total_excursion:g} at most")
        if self.max_channels is not None:
            bounds.append(f"{self.max_channels} of them at most are written")
        return f"Group {one_line(name, 60)} ({shown}{more}): {'; '.join(bounds)}"


@dataclass
class _Sum:
    """What one group has come to."""

    distances: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Of each channel that was written; None: it holds no number, or nobody knows where it began."""
    total: float = 0.0
    unknown: int = 0

    def put(self, channel: str, distance: float | None) -> None:
        if channel in self.distances:
            before = self.distances[channel]
            self.total -= before or 0.0
            self.unknown -= before is None
        self.distances[channel] = distance
        self.total += distance or 0.0
        self.unknown += distance is None


class Together:
    """The groups during one call: what the run has written before, and what comes before each write of the call.

    Args:
        groups_of: returns the groups of a channel, by their names.
        written: what the run wrote last to each channel.
        past: where each channel was at the start.
    """

    def __init__(
        self,
        groups_of: Callable[[str], Mapping[str, GroupLimits]],
        written: Mapping[str, Any],
        past: Mapping[str, Past],
    ) -> None:
        self._groups_of, self._past = groups_of, past
        self._sums: defaultdict[str, _Sum] = defaultdict(_Sum)
        for channel, value in written.items():
            for name in groups_of(channel):
                self._sums[name].put(channel, self._distance(channel, value))

    def breach(self, channel: str, value: Any) -> Breach | None:
        """Return the limit of a group that a write would break; where it breaks none, count it with the others."""
        distance = self._distance(channel, value)
        groups = self._groups_of(channel)
        for name, group in groups.items():
            if broken := _broken(name, group, self._sums[name], channel, distance):
                return broken
        for name in groups:
            self._sums[name].put(channel, distance)
        return None

    def _distance(self, channel: str, value: Any) -> float | None:
        start = self._past[channel].start if channel in self._past else None
        return abs(value - start) if start is not None and isinstance(value, int | float) else None


def _broken(name: str, group: GroupLimits, so_far: _Sum, channel: str, distance: float | None) -> Breach | None:
    which = f"group {one_line(name, 60)}"
    count = len(so_far.distances) + (channel not in so_far.distances)
    if group.max_channels is not None and count > group.max_channels:
        return Breach(
            "max_channels", f"{which}: it would be channel {count} of them; max_channels {group.max_channels}"
        )
    most = group.max_total_excursion
    if most is None:
        return None
    if distance is None or so_far.unknown:
        return Breach("max_total_excursion", f"{which}: a channel of it holds no number, or had none at the start")
    total = so_far.total - (so_far.distances.get(channel) or 0.0) + distance
    if total > most * (1 + _ROUNDING):
        return Breach(
            "max_total_excursion",
            f"{which}: all its channels together {total:g} away from their start; max_total_excursion {most:g}",
        )
    return None
