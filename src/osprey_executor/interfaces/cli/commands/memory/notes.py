"""`memory add`, `edit`, `delete` and `share`: a person's own notes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.interfaces.cli.commands.memory.look import ItemId
from osprey_executor.interfaces.cli.commands.options import Json

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.work import Work
    from osprey_executor.models import Note, ProvenScript

NoteText = Annotated[str, typer.Argument(metavar="TEXT", help="What is to be known, in words.", show_default=False)]
Shared = Annotated[bool, typer.Option("--shared", help="Give it to everybody's tasks, not to yours alone.")]


def add(text: NoteText, shared: Shared = False, as_json: Json = False) -> int:
    """Add a note, which the generators of your tasks are given from now on."""
    return told("Noted", lambda work: work.service.memory.add(text, shared=shared), as_json=as_json)


def edit(id: ItemId, text: NoteText, as_json: Json = False) -> int:
    """Give a note of yours another text."""
    return told("Changed", lambda work: work.service.memory.edit(id, text), as_json=as_json)


def delete(id: ItemId, as_json: Json = False) -> int:
    """Delete a note of yours, or a program that you kept; its run stays."""
    return told("Deleted", lambda work: work.service.memory.delete(id), as_json=as_json)


def share(
    id: ItemId,
    stop: Annotated[bool, typer.Option("--stop", help="Share it no longer.")] = False,
    as_json: Json = False,
) -> int:
    """Let everybody's tasks be given a note of yours, or a program that you kept."""
    done = "No longer shared" if stop else "Shared"
    return told(done, lambda work: work.service.memory.share(id, shared=not stop), as_json=as_json)


def told(done: str, change: Callable[[Work], Awaitable[Note | ProvenScript | None]], *, as_json: bool) -> int:
    """Change the memory, and tell what is so now."""
    from osprey_executor.interfaces.cli.remembered import in_a_line
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        item = await change(work)
        if as_json:
            write_json(item and item.model_dump(mode="json"))
        else:
            screen.show(in_a_line(done, item) if item else f"{done}: it was damaged", wrap=False)
        return 0

    return with_service(body, screen)
