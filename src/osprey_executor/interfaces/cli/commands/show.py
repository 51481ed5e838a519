"""`show`: one run, with its card where it waits."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def show(run: RunId, as_json: Json = False) -> int:
    """Show the card of a run that waits, or how it ended."""
    from osprey_executor.errors import InvalidDecision
    from osprey_executor.interfaces.cli.card import render_card
    from osprey_executor.interfaces.cli.ending import finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        if not as_json:
            try:
                card = await work.service.card(run)
            except InvalidDecision:
                pass  # it does not wait, so there is no card: its result tells
            else:
                screen.show(render_card(card, width=screen.out.width))
        finish(screen, await work.service.result(run))
        return 0

    return with_service(body, screen)
