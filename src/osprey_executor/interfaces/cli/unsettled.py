"""What a person sees who settles a run: what was to be written, what was there before, and what is there now."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from osprey_executor.interfaces.cli.lists import age
from osprey_executor.interfaces.cli.prompt import ask_line
from osprey_executor.models import MachineEffects, Settled
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.interrupts import Interrupts
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models import Settlement, Unsettled

_SAYS: Final = {
    Settled.WRITTEN: ("it was written", "yellow"),
    Settled.NOT_WRITTEN: ("it was not written, so far", "yellow"),
    Settled.UNKNOWN: ("that says nothing", "bold red"),
}
_EFFECTS: Final = {
    MachineEffects.NONE: "it wrote nothing",
    MachineEffects.WRITTEN: "it wrote",
    MachineEffects.UNKNOWN: "nobody can say whether its last write arrived",
}


def unsettled_table(seen: Settlement) -> Table:
    """Return one row a write."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("channel", "written", "before", "now", "so", "age"):
        table.add_column(name, overflow="fold", justify="right" if name == "age" else "left")
    for write in seen.writes:
        table.add_row(
            Text(one_line(write.channel)),
            Text(one_line(write.value or "?")),
            Text(one_line(write.previous or "?")),
            _now(write),
            Text(*_SAYS[write.outcome]),
            Text(age(write.since)),
        )
    return table


def settled_words(seen: Settlement) -> Text:
    """Return how a run stands, in one sentence."""
    if not seen.writes:
        return Text(f"Nothing to settle: run {seen.run_id} left no write whose end is not known.")
    if seen.at is None:
        return Text(f"Not settled: no run writes these channels, and of run {seen.run_id} nobody knows what it did.")
    return Text(
        f"Settled by {one_line(seen.by or '')}. Of run {seen.run_id} the record says now: {_EFFECTS[seen.effects]}."
    )


async def confirmed(screen: Screen, interrupts: Interrupts) -> bool:
    """Ask whether the person has looked; only the whole word does. Without a terminal nobody has."""
    if not screen.interactive:
        return False
    screen.tell("A write that waits in a server which hangs may still arrive. Look at the machine itself, too.")
    with interrupts.ignoring(signal.SIGHUP):
        answer = await ask_line(screen, Text("Type settle to let runs write these channels again: ", style="bold"))
    return (answer or "").lower() == "settle"


def _now(write: Unsettled) -> Text:
    if write.present is None:
        return Text(f"cannot be read: {one_line(write.unreadable, 300)}", style="red")
    return Text(one_line(write.present))
