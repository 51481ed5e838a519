"""What is other on one card than on another: the code line by line, and the rest in words."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from osprey_executor.interfaces.web.pages.listing import shown_code
from osprey_executor.interfaces.web.pages.words import number
from osprey_executor.models import ApprovalCard, PlannedWrite
from osprey_executor.text import one_line

_MOST_LINES: Final = 1000
_MOST_WRITES: Final = 12
_MOST_COMPARED: Final = 20_000
"""Lines; beyond them comparing takes too long for a page."""


@dataclass(frozen=True)
class Changes:
    """How a card differs from an earlier one."""

    code: tuple[tuple[str, str], ...]
    """Lines, each with its sign: `+`, `-`, `@` or a space."""
    told: tuple[str, ...]
    """What else is other."""


def changes(earlier: ApprovalCard, later: ApprovalCard) -> Changes:
    """Return what is other on the later card."""
    told: list[str] = []
    if earlier.requester != later.requester:
        told.append(f"asked for by {one_line(later.requester, 80)}, before by {one_line(earlier.requester, 80)}")
    for name, one, other in (
        ("machine", earlier.control_system.type, later.control_system.type),
        ("isolation", str(earlier.isolation), str(later.isolation)),
    ):
        if one != other:
            told.append(f"{name}: {one_line(other, 120)}, before {one_line(one, 120)}")
    if earlier.inputs != later.inputs:
        told.append("the input files are others")
    if earlier.rules != later.rules:
        told.append("the rules of the site are others")
    return Changes(compared(earlier.code, later.code), (*told, *_writes(earlier, later)))


def compared(earlier: str, later: str) -> tuple[tuple[str, str], ...]:
    """Return the lines that differ, with their neighbours."""
    old, new = (shown_code(code).splitlines() for code in (earlier, later))
    if len(old) + len(new) > _MOST_COMPARED:
        return (("@", "the programs are too long to be compared here"),)
    lines = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    shown = tuple((line[0], line if line[0] == "@" else line[1:]) for line in lines[:_MOST_LINES])
    more = (("@", f"and {len(lines) - _MOST_LINES} more lines"),) if len(lines) > _MOST_LINES else ()
    return (*shown, *more)


def _writes(earlier: ApprovalCard, later: ApprovalCard) -> list[str]:
    before = earlier.plan.writes if earlier.plan else ()
    after = later.plan.writes if later.plan else ()
    told = [
        f"write {index}: {_words(new)}, before {_words(old)}"
        for index, (old, new) in enumerate(zip_longest(before, after), 1)
        if _words(old) != _words(new)
    ]
    more = [f"and {len(told) - _MOST_WRITES} more writes"] if len(told) > _MOST_WRITES else []
    return [*told[:_MOST_WRITES], *more]


def _words(write: PlannedWrite | None) -> str:
    return f"{one_line(write.channel, 80)} = {number(write.shown)}" if write else "none"
