"""`approve`: yes to exactly what the card shows."""

from __future__ import annotations

import re
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
    envelope: Annotated[
        bool, typer.Option("--envelope", help="Approve the envelope on the card, and not its plan.")
    ] = False,
    remember: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Let the same program, which writes nothing, start again without asking for so long: 30min, 8h.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Approve a run that waits: exactly what its card shows.

    A card with a plan grants exactly its writes, in their order. With --envelope it is the envelope on the card that
    is granted: any order, any value in its ranges, which a closed loop needs.

    The run goes on in the process that waits for it, else here; its result and its exit code are shown here.
    """
    from osprey_executor.errors import InvalidDecision
    from osprey_executor.interfaces.cli.deciding import confirm, show_card
    from osprey_executor.interfaces.cli.ending import decide_and_finish, show_end
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import Approve

    screen = Screen.open(as_json=as_json)
    seconds = 0.0 if remember is None else _seconds(remember)
    given = None if digest is None else Approve(_plain(digest), remember=seconds)

    async def body(work: Work) -> int:
        card = await work.service.card(run)
        if envelope and card.envelope is None:
            raise InvalidDecision(
                f"the card of run {card.run_id} has no envelope: approve its plan, without --envelope"
            )
        wanted = card.envelope.digest if envelope and card.envelope else card.digest
        if given is not None and envelope and given.digest != wanted:
            raise InvalidDecision(f"that digest is not of the envelope on the card of run {card.run_id}: {wanted}")
        if given is None and not screen.interactive:
            raise InvalidDecision(
                f"there is no terminal to ask at: read the card (osprey-executor show {card.run_id}), then "
                f"osprey-executor approve {card.run_id} --digest {wanted}"
            )
        if given is None or given.digest in card.digests:
            await show_card(work, card)
        if given is not None:
            return await decide_and_finish(work, card, given)
        digest = await confirm(screen, work.interrupts, card)
        if digest is None or (envelope and digest != wanted):
            screen.tell("Nothing is decided; the run still waits.")
            return await show_end(work, await work.service.result(run))
        return await decide_and_finish(work, card, Approve(digest, remember=seconds))

    return with_service(body, screen)


def _seconds(time: str) -> float:
    from osprey_executor.errors import InvalidDecision

    found = re.fullmatch(r"(\d{1,6})\s*(s|min|h)", time.strip())
    if found is None:
        raise InvalidDecision(f"--remember takes a time such as 30min or 8h, not {time!r:.100}")
    return float(found[1]) * {"s": 1, "min": 60, "h": 3600}[found[2]]


def _plain(digest: str) -> str:
    """Return a digest as cards write it; anything else as it is, so that a message can quote it."""
    text = digest.strip()
    return text.lower() if all(character in hexdigits for character in text) else text
