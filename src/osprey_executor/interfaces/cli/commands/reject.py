"""`reject`: no, with a reason."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def reject(
    run: RunId,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record and the generator.")] = "",
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Let the generator try again with the reason.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Reject a run that waits.

    Exit 0 when it is rejected; with --regenerate the exit code of the run as it goes on.
    """
    from osprey_executor.interfaces.cli.ending import decide_and_finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import Reject, RunStatus

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        card = await work.service.card(run)
        wanted = RunStatus.SUCCEEDED if regenerate else RunStatus.REJECTED
        return await decide_and_finish(work, card, Reject(reason, regenerate=regenerate), wanted=wanted)

    return with_service(body, screen)
