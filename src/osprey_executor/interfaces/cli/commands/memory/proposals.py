"""`memory pending`, `accept` and `reject`: what models propose to remember waits for a person."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.memory.look import ItemId
from osprey_executor.interfaces.cli.commands.memory.notes import told
from osprey_executor.interfaces.cli.commands.options import Json


def pending(as_json: Json = False) -> int:
    """List the notes that models have proposed to you; no generator is given them before you accept."""
    from osprey_executor.interfaces.cli.remembered import memory_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        proposed = await work.service.memory.proposed()
        if as_json:
            write_json([note.model_dump(mode="json") for note in proposed])
        elif proposed:
            screen.show(memory_table(proposed))
        else:
            screen.tell("No note waits to be accepted.")
        return 0

    return with_service(body, screen)


def accept(id: ItemId, as_json: Json = False) -> int:
    """Make a proposed note one of yours."""
    return told("Noted", lambda work: work.service.memory.accept(id), as_json=as_json)


def reject(id: ItemId, as_json: Json = False) -> int:
    """Delete a proposed note."""
    return told("Rejected", lambda work: work.service.memory.reject(id), as_json=as_json)
