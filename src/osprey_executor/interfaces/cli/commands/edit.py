"""`edit`: other code for a run that waits. It is analysed again and asked again."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def edit(
    run: RunId,
    code: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The new code; - is stdin. Without it $EDITOR opens.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Replace the code of a run that waits.

    The new code is analysed and asked about again.
    """
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli.editing import edited
    from osprey_executor.interfaces.cli.ending import decide_and_finish, show_end
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.sources import read_code
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import Edit

    given = read_code(code) if code is not None else None
    screen = Screen.open(as_json=as_json)
    if given is None and not screen.interactive:
        raise InvalidRequestError("there is no terminal for an editor: give the new code with --code FILE")

    async def body(work: Work) -> int:
        card = await work.service.card(run)
        new = given
        if new is None:
            with work.interrupts.ignoring(signal.SIGINT):
                new = await edited(card.code)
        if new is None:
            screen.tell("The code is unchanged; the run still waits.")
            return await show_end(work, await work.service.result(run))
        return await decide_and_finish(work, card, Edit(new))

    return with_service(body, screen)
