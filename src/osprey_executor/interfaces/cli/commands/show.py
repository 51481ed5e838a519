"""`show`: one run, with its card where it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osprey_executor.interfaces.cli.commands.options import Json, RunId

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.work import Work


def show(run: RunId, as_json: Json = False) -> int:
    """Show the card of a run that waits, or how it ended."""
    from osprey_executor.errors import InvalidDecision, InvalidRequestError
    from osprey_executor.interfaces.cli.card import render_card
    from osprey_executor.interfaces.cli.ending import show_end
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        if not as_json:
            try:
                card = await work.service.card(run)
            except InvalidDecision:
                pass  # it does not wait, so there is no card: its result tells
            else:
                now = await work.service.in_the_way(card)
                screen.show(render_card(card, width=screen.out.width, commands=False, in_the_way=now))
        try:
            result = await work.service.result(run)
        except InvalidRequestError:
            if not await _show_running(work, run):
                raise
        else:
            await show_end(work, result)
        return 0

    return with_service(body, screen)


async def _show_running(work: Work, run: str) -> bool:
    """Show what is known of a run that goes on; False if there is none of that id."""
    from osprey_executor.interfaces.cli.lists import runs_table
    from osprey_executor.interfaces.cli.streams import write_json

    found = [one for one in await work.service.runs(1000) if one.run_id.startswith(run)]
    if len(found) != 1:
        return False
    if work.screen.as_json:
        write_json(found[0].model_dump(mode="json"))
    else:
        work.screen.show(runs_table(found, work.screen.out.width))
        work.screen.tell(f"It goes on: osprey-executor watch {found[0].run_id}")
    return True
