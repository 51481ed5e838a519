"""The first cell of a notebook: what was run, for whom, who allowed it, what contained it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from osprey_executor.models import RunResult, Write
from osprey_executor.text import one_line, visible

_T = TypeVar("_T")
_WIDTH = 96
_LABEL = 12
_MOST_LISTED = 20
_EFFECTS = {"none": "nothing written", "written": "written", "unknown": "UNKNOWN whether written"}


@dataclass(frozen=True)
class Shown:
    """What a notebook shows of the attempt that it replays."""

    run: RunResult
    """With the outcome of this attempt: its status, results, output, figures, artifacts and error."""
    code: str
    attempt: int
    of_attempts: int
    final: bool


def banner(shown: Shown) -> str:
    """Return the markdown of the banner. Hostile text stands in a fenced block only, where nothing is rendered."""
    run = shown.run
    which = "" if shown.final else f", attempt {shown.attempt} of {shown.of_attempts}"
    lines = [
        f"# Run {run.run_id}{which}",
        "",
        "This notebook is the record of a run and re-runs as a **replay**: reads through `osprey_executor.runtime` "
        "answer from the record, writes are compared with the record and change nothing. "
        "The code then runs with the rights of your kernel, outside the sandbox.",
        "",
        fenced(_rows(shown)),
    ]
    return "\n".join(lines)


def fenced(text: str) -> str:
    """Return a fenced block that nothing in `text` can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def when(moment: datetime | None) -> str:
    """Return a time in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "-"


def _machine(run: RunResult) -> str:
    control = run.control_system
    if control is None:
        return "-"
    if control.type == "mock":
        return "mock: readings are invented"
    return f"REAL ({control.type})" if control.real else control.type


def _rows(shown: Shown) -> str:
    run = shown.run
    facts = [
        ("task", run.task),
        ("status", f"{run.status.replace('_', ' ')}{' (partial)' if run.partial else ''}"),
        ("machine", f"{_machine(run)}; {_EFFECTS[run.effects]}"),
        ("requester", run.requester),
        ("approver", run.decided_by or "nobody was asked"),
        ("digest", run.digest or "-"),
        ("generator", run.generator),
        ("isolation", str(run.isolation)),
        ("engine", run.isolation.engine),
        ("created", when(run.created_at)),
        ("finished", when(run.finished_at)),
        ("execution", f"{run.usage.wall_seconds:.1f} s, {run.usage.cpu_seconds:.1f} s CPU"),
    ]
    if run.error:
        facts.append(("error", str(run.error)))
    if visible(shown.code) != shown.code:
        facts.append(("WARNING", "the code below holds characters that hide or reorder text"))
    facts += [("note", note) for note in _some(run.notes)]
    facts += [("refused", f"{refusal.channel} = {refusal.value}: {refusal.reason}") for refusal in _some(run.refusals)]
    facts += [("written", _write(write)) for write in _some(run.writes)]
    facts += [("artifact", str(artifact.relative_to(run.folder))) for artifact in _some(run.artifacts)]
    for what, number in (
        ("notes", len(run.notes)),
        ("refusals", len(run.refusals)),
        ("writes", len(run.writes)),
        ("artifacts", len(run.artifacts)),
    ):
        if number > _MOST_LISTED:
            facts.append(("and more", f"{number - _MOST_LISTED} more {what}, in the run folder"))
    return "\n".join(row for label, value in facts for row in _row(label, value))


def _write(write: Write) -> str:
    before = f" (was {write.previous})" if write.previous is not None else ""
    settled = f", settled: {write.settled.replace('_', ' ')}" if write.settled else ""
    return f"{write.channel} = {write.value}{before}{'' if write.confirmed else ', NOT CONFIRMED'}{settled}"


def _some(items: Iterable[_T]) -> list[_T]:
    return list(items)[:_MOST_LISTED]


def _row(label: str, value: str) -> Iterable[str]:
    # A continued line begins with spaces, so that hostile text never stands where a fence could close.
    pieces = textwrap.wrap(one_line(value, 600), _WIDTH, break_on_hyphens=False) or ["-"]
    yield f"{label:<{_LABEL}}{pieces[0]}"
    for piece in pieces[1:]:
        yield " " * _LABEL + piece
