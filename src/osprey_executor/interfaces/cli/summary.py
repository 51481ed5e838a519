"""How a run ended, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from osprey_executor.models import MachineEffects, RunStatus
from osprey_executor.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from osprey_executor.models import ErrorReport, Outcome, Refusal, RunResult, Used

WORDS: Final = {
    RunStatus.SUCCEEDED: ("Succeeded", "bold green"),
    RunStatus.FAILED: ("Failed", "bold red"),
    RunStatus.REJECTED: ("Rejected", "bold yellow"),
    RunStatus.REFUSED: ("Refused", "bold red"),
    RunStatus.TIMED_OUT: ("Timed out", "bold red"),
    RunStatus.CANCELLED: ("Cancelled", "bold yellow"),
    RunStatus.AWAITING_APPROVAL: ("Waiting for approval", "bold yellow"),
    RunStatus.OUTCOME_UNKNOWN: ("Outcome unknown", "bold red"),
}
_MOST: Final = 12
_LABEL: Final = 10
_WORTH_TELLING: Final = 0.1
"""Seconds."""


def run_summary(result: RunResult) -> RenderableType:
    """Return the summary of a run."""
    words, style = WORDS[result.status]
    facts = _facts()
    if result.task:
        facts.add_row("task", Text(one_line(result.task)))
    facts.add_row("run", Text(result.run_id))
    if result.generator:
        facts.add_row("code from", Text(one_line(result.generator)))
    if result.generation.calls:
        facts.add_row("model", Text(one_line(str(result.generation))))
    if result.memory:
        facts.add_row("memory", Text(_memory(result.memory)))
    facts.add_row("machine", _machine(result))
    _add_refusals(facts, result.refusals)
    if any(attempt.status is not None for attempt in result.attempts):  # else nothing ran that could be contained
        facts.add_row("isolation", Text(str(result.isolation)))
    if result.decided_by:
        facts.add_row("decided by", Text(one_line(result.decided_by)))
    if len(result.attempts) > 1:
        facts.add_row("attempts", Text(str(len(result.attempts))))
    _add_notes(facts, result.notes)
    return Group(
        Text(),
        Text.assemble((words, style), _took(result)),
        *_error(result.error),
        facts,
        *_results(result.results),
        *_paths(result, result.folder, result.notebook_path),
    )


def not_now(reason: str) -> str:
    """Return in words that an approval would write nothing at this moment, and why."""
    return f"Approved now, it would write nothing: {one_line(reason, 400)}"


def outcome_summary(outcome: Outcome) -> RenderableType:
    """Return the summary of a replay."""
    words, style = WORDS[outcome.status]
    facts = _facts()
    facts.add_row("isolation", Text(str(outcome.isolation)))
    _add_notes(facts, outcome.notes)
    head = Text.assemble("Replay: ", (words.lower(), style), f" after {outcome.usage.wall_seconds:.1f} s")
    return Group(head, *_error(outcome.error), facts, *_results(outcome.results), *_paths(outcome, None, None))


def _facts() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL)
    table.add_column(overflow="fold")
    return table


def _took(result: RunResult) -> str:
    """Return how long the work took; the wait for a person or for a turn is no work and is told apart."""
    timings = result.timings
    if not timings.total:
        return ""
    took = timings.total
    if result.status is RunStatus.CANCELLED and result.finished_at:  # what was cancelled has not told its time
        took = (result.finished_at - result.created_at).total_seconds()
    told = f" after {max(took - timings.waiting, 0.0):.1f} s"
    if timings.execution >= _WORTH_TELLING:
        told += f", {timings.execution:.1f} s of them running"
    if timings.waiting >= _WORTH_TELLING:
        told += f"; waited {_span(timings.waiting)} for a {'decision' if result.digest else 'turn'}"
    return told


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 20 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _memory(used: Sequence[Used]) -> str:
    told = ", ".join(f"{each.kind} {one_line(each.id, 60)}" for each in used[:_MOST])
    return f"the generator was given {told}" + (f" and {len(used) - _MOST} more" if len(used) > _MOST else "")


def _machine(result: RunResult) -> Text:
    told = _effects(result)
    control = result.control_system
    if control is None:
        return told
    if control.real:
        return Text.assemble(("REAL", "bold white on red"), f" ({one_line(control.type, 60)}); ", told)
    kind = one_line(control.type, 60)
    if control.type == "mock":
        kind += ": readings are invented" if result.effects is MachineEffects.NONE else ": no machine"
    return Text.assemble(f"{kind}; ", told)


def _effects(result: RunResult) -> Text:
    count = len(result.writes)
    many = f"{count} write{'' if count == 1 else 's'}"
    match result.effects:
        case MachineEffects.NONE:
            return Text("nothing was written")
        case MachineEffects.WRITTEN if not count:
            journal = visible(str(result.folder / "journal.jsonl"))
            return Text(f"written, see the journal {journal}", style="yellow")
        case MachineEffects.WRITTEN:
            channels = len({write.channel for write in result.writes})
            how = "confirmed or settled" if any(write.settled for write in result.writes) else "confirmed"
            return Text(f"written: {many} to {channels} channel{'' if channels == 1 else 's'}, {how}", style="yellow")
        case MachineEffects.UNKNOWN:
            left = [write for write in result.writes if not write.confirmed]
            open_ones = sorted({one_line(write.channel) for write in left}) or ["what the run may have written"]
            told = "nobody can say whether the last write arrived: "
            if left and all(write.settled for write in left):
                return Text(f"{told}{', '.join(open_ones[:_MOST])}, settled as that", style="yellow")
            told += f"look at {', '.join(open_ones[:_MOST])}, then `osprey-executor settle {result.run_id}`"
            return Text(told, style="bold red")


def _add_refusals(facts: Table, refusals: Sequence[Refusal]) -> None:
    for number, refusal in enumerate(refusals[:_MOST]):
        where = f" (line {refusal.line})" if refusal.line else ""
        left = "left out: " if refusal.skipped else ""
        told = f"{one_line(refusal.channel)} = {one_line(refusal.value, 60)}: {left}{one_line(refusal.reason)}{where}"
        facts.add_row("" if number else "refused", Text(told, style="yellow"))
    if len(refusals) > _MOST:
        facts.add_row("", Text(f"... and {len(refusals) - _MOST} more", style="yellow"))


def _add_notes(facts: Table, notes: Sequence[str]) -> None:
    for number, note in enumerate(notes[:_MOST]):
        facts.add_row("" if number else "note", Text(one_line(note, 400)))


def _error(error: ErrorReport | None) -> list[RenderableType]:
    if error is None:
        return []
    told: list[RenderableType] = [Text(f"{one_line(error.type)}: {visible(error.message).strip()}", style="red")]
    if error.line:
        told.append(Text(f"line {error.line}: {one_line((error.source_line or '').strip())}"))
    if error.traceback and error.traceback.count('File "') > 1:
        told.append(Text(visible(error.traceback).rstrip(), style="dim"))
    return told


def _results(results: Mapping[str, Any]) -> list[RenderableType]:
    if not results:
        return []
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", overflow="fold")
    table.add_column(overflow="fold")
    for name in list(results)[:_MOST]:
        table.add_row(Text(one_line(str(name), 60)), Text(short(results[name])))
    if len(results) > _MOST:
        table.add_row("...", Text(f"{len(results) - _MOST} more, all in results.json"))
    labelled = _facts()
    labelled.add_row("results", table)
    return [labelled]


def short(value: Any) -> str:
    """Return a value in a few words; an array or a frame by its shape."""
    shape = getattr(value, "shape", None)
    if shape:
        kind = type(value).__name__
        dtype = getattr(value, "dtype", None)
        return f"{kind} {' x '.join(str(side) for side in shape)}" + (f" of {dtype}" if dtype is not None else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    try:
        return one_line(repr(value[:200] if type(value) in (str, bytes) else value), 120)
    except Exception as error:  # the value is a claim of the code; its repr must not spoil the summary
        return f"{type(value).__name__} that cannot be shown ({type(error).__name__})"


def _paths(result: RunResult | Outcome, folder: Path | None, notebook: Path | None) -> list[RenderableType]:
    named: list[tuple[str, Path]] = []
    if notebook:
        named.append(("notebook", notebook))
    named += [("figure", path) for path in result.figures[:_MOST]]
    named += [("artifact", path) for path in result.artifacts[:_MOST]]
    if folder:
        named.append(("folder", folder))
    # A path stays on one line, so that it can be copied whole: the terminal wraps it, not we.
    return [
        Text.assemble((f"{kind:<{_LABEL + 2}}", "dim"), visible(str(path)), no_wrap=True, overflow="ignore")
        for kind, path in named
    ]
