"""`memory keep`: a person marks the program of a run as good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.interfaces.cli.commands.memory.notes import Shared
from osprey_executor.interfaces.cli.commands.options import Json, RunId

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.work import Work


def keep(
    run: RunId,
    shared: Shared = False,
    yes: Annotated[bool, typer.Option("--yes", help="Keep it without asking: you have read the program.")] = False,
    as_json: Json = False,
) -> int:
    """Mark the program of a run as good, so that generators get it as an example for similar tasks.

    It is an example and no grant: what is made of it is analysed, rehearsed and asked about like any code.
    """
    from rich.text import Text

    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.remembered import confirmed, in_a_line
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import with_service
    from osprey_executor.text import visible

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        if not yes:
            result = await work.service.result(run)
            screen.show_aside(Text(visible(result.code or "")))
            if not await confirmed(screen, work.interrupts):
                screen.tell(f"Not kept. When you have read it: osprey-executor memory keep {result.run_id} --yes")
                return Exit.AWAITING_APPROVAL
        script = await work.service.keep(run, shared=shared)
        write_json(script.model_dump(mode="json")) if as_json else screen.show(in_a_line("Kept", script), wrap=False)
        return Exit.SUCCEEDED

    return with_service(body, screen)
