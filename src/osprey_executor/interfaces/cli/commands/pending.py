"""`pending`: what waits for a decision."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json


def pending(as_json: Json = False) -> int:
    """List the runs that wait for approval."""
    from osprey_executor.interfaces.cli.lists import pending_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        cards = await work.service.pending()
        now = [await work.service.in_the_way(card) for card in cards]
        if as_json:
            told = zip(cards, now, strict=True)
            write_json([card.model_dump(mode="json") | {"in_the_way": list(reasons)} for card, reasons in told])
        elif cards:
            screen.show(pending_table(cards, screen.out.width, now))
        else:
            screen.tell("Nothing waits for a decision.")
        return 0

    return with_service(body, screen)
