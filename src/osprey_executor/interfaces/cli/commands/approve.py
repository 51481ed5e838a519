"""`approve`: yes to exactly what the card shows."""

from __future__ import annotations

from string import hexdigits
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def approve(
    run: RunId,
    digest: Annotated[
        str | None,
        typer.Option(help="Digest of the card that was read; without a terminal it is required.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Approve a run that waits: exactly what its card shows.

    The run goes on in the process that waits for it, else here; its result and its exit code are shown here.
    """
    from osprey_executor.errors import InvalidDecision
    from osprey_executor.interfaces.cli.deciding import confirm, show_card
    from osprey_executor.interfaces.cli.ending import decide_and_finish, finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import Approve

    screen = Screen.open(as_json=as_json)
    given = None if digest is None else Approve(_plain(digest))

    async def body(work: Work) -> int:
        card = await work.service.card(run)
        if given is None and not screen.interactive:
            raise InvalidDecision(
                f"there is no terminal to ask at: read the card (osprey-executor show {card.run_id}), then "
                f"osprey-executor approve {card.run_id} --digest {card.digest}"
            )
        if given is None or given.digest == card.digest:
            show_card(screen, card)
        if given is None and not await confirm(screen, work.interrupts):
            screen.tell("Nothing is decided; the run still waits.")
            return finish(screen, await work.service.result(run))
        return await decide_and_finish(work, card, given or Approve(card.digest))

    return with_service(body, screen)


def _plain(digest: str) -> str:
    """Return a digest as cards write it; anything else as it is, so that a message can quote it."""
    text = digest.strip()
    return text.lower() if all(character in hexdigits for character in text) else text
