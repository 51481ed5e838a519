"""Names of channels in little room: a run of consecutive numbers by its ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.text import Text

from osprey_executor.text import one_line

_MOST_NAMES: Final = 12
_NUMBER: Final = re.compile(r"\d+")


def run_of_names(channels: Sequence[str]) -> Text:
    """Return the names, a run of consecutive numbers by its ends."""
    names = [one_line(channel, 120) for channel in channels]
    if len(names) > 2 and _consecutive(names):
        return Text(f"{names[0]} … {names[-1]}", style="bold")
    shown = ", ".join(names[:_MOST_NAMES]) + (
        f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    )
    return Text(shown, style="bold")


def without_numbers(name: str) -> str:
    """Return a name that all of its kind share."""
    return _NUMBER.sub("0", name)


def _consecutive(names: list[str]) -> bool:
    numbers = [[int(digits) for digits in _NUMBER.findall(name)[:20] if len(digits) < 10] for name in names]
    steps = {tuple(new - old for old, new in zip(one, two, strict=False)) for one, two in pairwise(numbers)}
    return len(steps) == 1 and sum(step != 0 for step in next(iter(steps))) == 1 and sum(next(iter(steps))) == 1
