"""`settle`: a person answers for writes of which nobody knows whether they arrived."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def settle(
    run: RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Settle without asking: you have looked at the machine.")] = False,
    as_json: Json = False,
) -> int:
    """Settle the writes of a run that were never confirmed, after a look at the machine.

    Until then no run writes these channels.
    """
    from osprey_executor.interfaces.cli.deciding import Token
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.unsettled import confirmed, settled_words, unsettled_table
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        seen = await work.service.unsettled(run)
        if seen.writes:
            screen.show_aside(unsettled_table(seen))
            if yes or await confirmed(screen, work.interrupts):
                seen = await work.service.settle(seen, credential=Token(work))
        if as_json:
            write_json(seen.model_dump(mode="json"))
        else:
            screen.show(settled_words(seen))
        if seen.writes and seen.at is None:
            screen.tell(f"When you have looked at the machine: osprey-executor settle {seen.run_id} --yes")
            return Exit.OUTCOME_UNKNOWN
        return Exit.SUCCEEDED

    return with_service(body, screen)
