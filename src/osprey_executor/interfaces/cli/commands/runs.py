"""`runs`: the latest runs."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json


def runs(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the latest first.")] = 20,
    as_json: Json = False,
) -> int:
    """List the latest runs."""
    from osprey_executor.interfaces.cli.lists import runs_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        found = await work.service.runs(limit)
        if as_json:
            write_json([run.model_dump(mode="json") for run in found])
        elif found:
            screen.show(runs_table(found, screen.out.width))
        else:
            screen.tell("No runs yet. Try: osprey-executor demo")
        return 0

    return with_service(body, screen)
