"""What it costs that programs are rehearsed: those that write, which run twice, and those that do not."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _live import TRIVIAL, ask, opened, service
from _measure import Subject, interleave
from _report import Line, against, cost

WRITE = """
from osprey_executor.runtime import write_channel
write_channel("MAG:1:SP", 1.5)
results = {"total": 1}
"""
_ASKS = {"control_system": {"type": "mock", "writes_enabled": True}, "approval": {"mode": "control_writes"}}
_UNASKED = {**_ASKS, "approval": {"mode": "disabled"}}
_READ_ONLY = {"control_system": {"type": "mock"}}


def rehearsal(rounds: int) -> list[Line]:
    """Measure requests that are approved as soon as they ask, against the same ones without rehearsal."""
    writing = {"written unasked": _UNASKED, "rehearsed, approved at once": _ASKS}
    harmless = {"writes disabled": _READ_ONLY, "rehearsed, wrote nothing": _ASKS}
    return [
        *_compare("rehearsal, one write", WRITE, writing, rounds, writes=1),
        *_compare("rehearsal, no write", TRIVIAL, harmless, rounds, writes=0),
    ]


def _compare(topic: str, code: str, ways: Mapping[str, Mapping[str, Any]], rounds: int, writes: int) -> list[Line]:
    base, other = ways
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-rehearsal-")))
        subjects: dict[str, Subject] = {}
        for number, (what, changes) in enumerate(ways.items()):
            loop, serving = stack.enter_context(opened(service(temporary / str(number), code, changes)))
            subjects[what] = loop.subject(lambda serving=serving: ask(serving, writes))
        costs = interleave(subjects, rounds)
    return [*cost(topic, costs, baseline=base), against(topic, other, costs, base, 0.5)]
