"""`memory list` and `memory show`: what is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json

ItemId = Annotated[str, typer.Argument(metavar="ID", help="Id of a note, or of the run of a kept program.")]


def listed(as_json: Json = False) -> int:
    """List your notes and kept programs, and what others share."""
    from osprey_executor.interfaces.cli.remembered import memory_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        memory = work.service.memory
        notes, scripts, proposed = await memory.notes(), await memory.scripts(), await memory.proposed()
        damaged = await memory.damaged()
        if as_json:
            write_json(
                {
                    "notes": [note.model_dump(mode="json") for note in notes],
                    "scripts": [script.model_dump(mode="json") for script in scripts],
                    "damaged": damaged,
                }
            )
        elif notes or scripts:
            screen.show(memory_table([*notes, *scripts]))
        else:
            screen.tell("Nothing is remembered. Try: osprey-executor memory add 'our BPMs are in mm'")
        for each in damaged:
            screen.tell(
                f"damaged: {each}; its owner can delete it (`memory delete ID`, `memory reject ID`)", style="yellow"
            )
        if proposed:
            screen.tell(f"{len(proposed)} proposed by models: osprey-executor memory pending")
        return 0

    return with_service(body, screen)


def show(id: ItemId, as_json: Json = False) -> int:
    """Show a note, a proposal or a kept program in full."""
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli.remembered import whole_text
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.text import one_line

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        memory = work.service.memory
        kept = [*await memory.notes(), *await memory.scripts(), *await memory.proposed()]
        found = next((item for item in kept if item.id == id), None)
        if found is None:
            raise InvalidRequestError(f"there is no {one_line(id, 80)!r}; `osprey-executor memory list` shows the ids")
        if as_json:
            write_json(found.model_dump(mode="json"))
        else:
            screen.show(whole_text(found), wrap=False)
        return 0

    return with_service(body, screen)
