"""Notes and kept programs, as a person reads them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from osprey_executor.interfaces.cli.lists import age
from osprey_executor.interfaces.cli.prompt import ask_line
from osprey_executor.models import Note
from osprey_executor.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osprey_executor.interfaces.cli.interrupts import Interrupts
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models import ProvenScript


def memory_table(items: Sequence[Note | ProvenScript]) -> Table:
    """Return one row a note or program."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("id", "of", "age"):
        table.add_column(name, no_wrap=True)
    table.add_column("what", ratio=1, overflow="fold")
    for item in items:
        when = item.created_at if isinstance(item, Note) else item.kept_at
        whose = _author(item) + (", shared" if item.shared else "")
        table.add_row(Text(item.id), Text(whose), Text(age(when)), Text(_what(item)))
    return table


def in_a_line(done: str, item: Note | ProvenScript) -> str:
    """Return what was done to a note or program."""
    shared = ", shared with everybody" if item.shared else ""
    return (
        f"{done} as {item.id}{shared}: {_what(item)}" if done in ("Noted", "Kept") else f"{done}: {_what(item)}{shared}"
    )


def whole_text(item: Note | ProvenScript) -> str:
    """Return the text of a note, or the program."""
    return visible(item.text if isinstance(item, Note) else item.code).rstrip()


async def confirmed(screen: Screen, interrupts: Interrupts) -> bool:
    """Ask whether the person finds the program good; only the whole word says so. Without a terminal nobody has."""
    if not screen.interactive:
        return False
    with interrupts.ignoring(signal.SIGHUP):
        answer = await ask_line(screen, Text("Type keep to make it an example for similar tasks: ", style="bold"))
    return (answer or "").lower() == "keep"


def _author(item: Note | ProvenScript) -> str:
    if isinstance(item, Note) and item.author != item.owner:
        return f"{one_line(item.author, 30)} to {one_line(item.owner, 20)}"
    return one_line(item.owner, 20)


def _what(item: Note | ProvenScript) -> str:
    return one_line(item.text, 300) if isinstance(item, Note) else f"program: {one_line(item.task, 200)}"
