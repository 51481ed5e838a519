"""The plan of a rehearsal on the card: each channel now and in the end, or write by write; and the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from osprey_executor.interfaces.cli.names import run_of_names, without_numbers
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from osprey_executor.models import Envelope, EnvelopeChannel, Plan, PlannedWrite

_MOST_ROWS: Final = 48
_MOST_SINGLE: Final = 12
_MOST_REFUSED: Final = 6
_MOST_LINES: Final = 3
_MOST_OUTPUT: Final = 8
_LONGEST_COMMAND: Final = 2000
_WIDE: Final = 96
"""Columns below which a plan by channels leaves out between which values it goes: no number is broken in two."""


def plan_section(
    plan: Plan, *, width: int, envelope: Envelope | None = None, output: str = "", figures: Sequence[Path] = ()
) -> RenderableType:
    """Return what would be written, what would be refused, the envelope, and what the rehearsal printed."""
    many = len(plan.writes) > _MOST_SINGLE
    parts: list[RenderableType] = []
    if plan.writes:
        parts.append(_by_channel(plan, width) if many else _one_by_one(plan))
        if any(not write.limits and _own_limits(write, plan) for write in plan.writes):
            parts.append(Text("¹ the control system's own limits", style="dim"))
    if any(write.command for write in plan.writes):
        parts.append(_commands(plan))
    if plan.refused:
        parts.append(_refused(plan))
    if envelope:
        parts.append(_envelope(envelope))
    parts.append(_rehearsal(plan, output, figures))
    return Padding(Group(*parts), (1, 1, 0, 1))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)


def _one_by_one(plan: Plan) -> RenderableType:
    table = _table()
    table.add_column("#", justify="right")
    table.add_column("Writes to", overflow="fold", min_width=12)
    for name in ("Now", "Proposed", "Change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Limits", overflow="fold")
    table.add_column("Line", justify="right")
    for write in plan.writes:
        units = plan.start[write.channel].units if write.channel in plan.start else ""
        table.add_row(
            str(write.index),
            Text(one_line(write.channel, 120), style="bold"),
            Text("") if write.command else _value(write.now, units),
            Text("a command" if write.command else _value(write.shown, units).plain, style="bold"),
            Text(_signed(write.delta)),
            _limits(write, plan),
            str(write.line or "?"),
        )
    return table


def _by_channel(plan: Plan, width: int) -> RenderableType:
    channels: dict[str, list[PlannedWrite]] = {}
    for write in plan.writes:
        channels.setdefault(write.channel, []).append(write)
    table = _table()
    table.add_column("Writes to", overflow="fold", min_width=12)
    between = ("Between",) if width >= _WIDE else ()
    for name in ("Now", "At end", "Change", *between, "Writes"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Limits", overflow="fold")
    table.add_column("Line", justify="right", overflow="fold")
    for channel, writes in list(channels.items())[:_MOST_ROWS]:
        start = plan.start.get(channel)
        numbers = [float(write.value) for write in writes if isinstance(write.value, int | float)]
        first = start.value if start else None
        change = numbers[-1] - first if numbers and isinstance(first, int | float) else None
        table.add_row(
            Text(one_line(channel, 120), style="bold"),
            Text("") if writes[0].command else _value(start.shown if start else None, start.units if start else ""),
            Text("a command" if writes[-1].command else _short(writes[-1].shown), style="bold"),
            Text(_signed(change)),
            *([f"{min(numbers):.4g} … {max(numbers):.4g}" if numbers else ""] if between else []),
            str(len(writes)),
            _limits(writes[-1], plan),
            _lines([write.line for write in writes]),
        )
    if len(channels) > _MOST_ROWS:
        table.add_row(Text(f"and {len(channels) - _MOST_ROWS} more channels: show it with --json", style="bold red"))
    return table


def _commands(plan: Plan) -> RenderableType:
    """Return every command in full: what is approved must have been seen."""
    told = Text("\nCommands, which a rehearsal cannot try:", style="bold")
    for write in plan.writes:
        if write.command:
            told.append(f"\n  {write.index}: {one_line(write.channel, 120)} ", style="default bold")
            told.append(one_line(write.shown, _LONGEST_COMMAND), style="default not bold")
    return told


def _refused(plan: Plan) -> RenderableType:
    told = Text("\nRefused whoever approves:", style="bold yellow")
    for refusal in plan.refused[:_MOST_REFUSED]:
        told.append(
            f"\n  {one_line(refusal.channel, 100)} = {one_line(refusal.value, 60)}: {one_line(refusal.reason, 200)}",
            style="default not bold",
        )
    if len(plan.refused) > _MOST_REFUSED:
        told.append(f"\n  and {len(plan.refused) - _MOST_REFUSED} more", style="dim")
    return told


def _envelope(envelope: Envelope) -> RenderableType:
    head = Text("\nOr approve this envelope", style="bold")
    head.append(
        f": any order, any value in these ranges, for {envelope.seconds:g} s after the start", style="default not bold"
    )
    table = _table()
    table.add_column("Channels", overflow="fold", min_width=12)
    for name in ("From", "To", "Step", "Writes each"):
        table.add_column(name, justify="right")
    ranges: dict[tuple[object, ...], list[EnvelopeChannel]] = {}
    for channel in envelope.channels:
        kind = without_numbers(channel.channel)
        ranges.setdefault((kind, channel.low, channel.high, channel.max_step, channel.writes), []).append(channel)
    for channels in list(ranges.values())[:_MOST_ROWS]:
        one, names = channels[0], run_of_names([channel.channel for channel in channels])
        step = "any" if one.max_step is None else f"{one.max_step:g}"
        table.add_row(names, f"{one.low:g}", f"{one.high:g}", step, str(one.writes))
    if len(ranges) > _MOST_ROWS:
        table.add_row(Text(f"and {len(ranges) - _MOST_ROWS} more: show it with --json", style="bold red"))
    digest = Text(f"Digest of the envelope: {envelope.digest}", style="dim")
    return Group(head, table, digest)


def _rehearsal(plan: Plan, output: str, figures: Sequence[Path]) -> RenderableType:
    where = "a simulator answered" if plan.simulated else "the machine was read"
    told = Text(f"\nRehearsal, machine not moved ({where}, {plan.seconds:.1f} s)", style="bold")
    lines = output.splitlines()
    if len(lines) > _MOST_OUTPUT:
        told.append(f"\n│ {len(lines) - _MOST_OUTPUT} lines before these", style="dim not bold")
    for line in lines[-_MOST_OUTPUT:]:
        told.append(f"\n│ {one_line(line, 200)}", style="default not bold")
    for figure in figures[:_MOST_LINES]:
        told.append(f"\nfigure (rehearsal): {one_line(str(figure), 400)}", style="default not bold")
    return told


def _value(shown: float | str | None, units: str) -> Text:
    if shown is None or shown == "":
        return Text("no valid value", style="yellow")
    return Text(f"{_short(str(shown))} {one_line(units, 12)}".rstrip())


def _short(shown: str) -> str:
    try:
        return f"{float(shown):.5g}"
    except ValueError:
        return one_line(shown, 60)


def _signed(change: float | None) -> str:
    return "" if change is None else f"{change:+.4g}"


def _limits(write: PlannedWrite, plan: Plan) -> Text:
    if write.limits:
        return Text(one_line(write.limits, 100))
    own = _own_limits(write, plan)
    return Text(f"{own} ¹") if own else Text("none", style="yellow")


def _own_limits(write: PlannedWrite, plan: Plan) -> str:
    start = plan.start.get(write.channel)
    bounded = start is not None and start.low is not None and start.high is not None
    return f"{start.low:g} to {start.high:g}" if bounded and start is not None else ""


def _lines(lines: Sequence[int | None]) -> str:
    known = list(dict.fromkeys(line for line in lines if line))
    if not known:
        return "?"
    return ", ".join(str(line) for line in known[:_MOST_LINES]) + (", …" if len(known) > _MOST_LINES else "")
