"""`memory import`: the user memory of Osprey becomes notes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Osprey's user_memory_dir.", show_default=False)],
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ID", help="Take over this user's notes alone, as yours.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Take over Osprey's user memory: the notes of each of its users for a person of that name.

    Exit code 1 if something could not be taken over. The files stay as they are, and a second time adds nothing.
    """
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.text import one_line

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        done = await work.service.memory.import_osprey(folder, user=user)
        if as_json:
            write_json(done.model_dump(mode="json"))
        else:
            owners = sorted({one_line(note.owner, 60) for note in done.notes})
            whose = f" of {', '.join(owners)}" if owners else ""
            known = f", {done.known} were there already" if done.known else ""
            screen.show(f"Notes taken over: {len(done.notes)}{whose}{known}.", wrap=False)
        for problem in done.problems:
            screen.tell(f"not taken over as it is: {problem}", style="yellow")
        return Exit.FAILED if done.problems else Exit.SUCCEEDED

    return with_service(body, screen)
