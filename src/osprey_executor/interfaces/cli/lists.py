"""Lists: of runs, of cards that wait, of probes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from osprey_executor.interfaces.cli.summary import WORDS, not_now
from osprey_executor.models import RunStatus
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osprey_executor.models import ApprovalCard, Probe, RunSummary

_PROBE: Final = {"ok": ("ok", "green"), "failed": ("FAILED", "bold red"), "unavailable": ("not here", "yellow")}
_NARROW: Final = 76


def runs_table(runs: Sequence[RunSummary], width: int) -> Table:
    """Return one row a run; a narrow terminal gets fewer columns."""
    table = _table()
    table.add_column("run", no_wrap=True, min_width=_longest(runs))
    table.add_column("state", no_wrap=True)
    if width >= _NARROW:
        table.add_column("machine", no_wrap=True)
        table.add_column("age", no_wrap=True, justify="right")
    table.add_column("task", ratio=1, no_wrap=True, overflow="ellipsis")
    for run in runs:
        cells: list[Text] = [Text(run.run_id), _state(run.state)]
        if width >= _NARROW:
            cells += [Text(run.effects, style="" if run.effects == "none" else "yellow"), Text(age(run.created_at))]
        table.add_row(*cells, Text(one_line(run.task)))
    return table


def pending_table(cards: Sequence[ApprovalCard], width: int, in_the_way: Sequence[Sequence[str]]) -> Table:
    """Return one row a card, with what is in the way of its writes at this moment."""
    table = _table()
    table.add_column("run", no_wrap=True, min_width=_longest(cards))
    if width >= _NARROW:
        table.add_column("from", no_wrap=True)
        table.add_column("expires in", no_wrap=True, justify="right")
    table.add_column("what would happen", ratio=1)
    for card, reasons in zip(cards, in_the_way, strict=True):
        cells = [Text(card.run_id)]
        if width >= _NARROW:
            cells += [Text(one_line(card.requester, 20)), Text(_span((card.expires_at - _now()).total_seconds()))]
        what = Text(one_line(card.headline, 300))
        for reason in reasons:
            what.append(f"\n{not_now(reason)}", style="bold red")
        table.add_row(*cells, what)
    return table


def probes_table(probes: Sequence[Probe]) -> Table:
    """Return one row a probe, with what was seen; of several lines, as remedies have them, the first."""
    table = _table()
    table.add_column("", no_wrap=True)
    table.add_column("tried", ratio=2)
    table.add_column("seen", ratio=3, overflow="fold")
    for probe in probes:
        seen = probe.detail.partition("\n")[0]
        table.add_row(Text(*_PROBE[probe.outcome]), Text(one_line(probe.name)), Text(one_line(seen, 600)))
    return table


def age(moment: datetime) -> str:
    """Return how long ago `moment` is, in one unit."""
    return _span((_now() - moment).total_seconds())


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", expand=True)


def _longest(runs: Sequence[RunSummary | ApprovalCard]) -> int:
    """Return the width of the ids: they are copied, so other columns give way."""
    return max((len(run.run_id) for run in runs), default=0)


def _state(state: str) -> Text:
    try:
        words, style = WORDS[RunStatus(state)]
    except ValueError:
        return Text(one_line(state), style="cyan")
    return Text(words.lower(), style=style.removeprefix("bold "))


def _now() -> datetime:
    return datetime.now(UTC)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
