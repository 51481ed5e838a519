"""`restore`: brings back what a run has changed on the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osprey_executor.interfaces.cli.commands.options import Json, RunId

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.models import Restoring


def restore(run: RunId, as_json: Json = False) -> int:
    """Give channels back the values that they held before a run.

    The last change comes first. It is a run of its own, with its plan on a card and your approval. Left alone is what
    the limits database does not call restorable, and what somebody else has changed since.
    """
    from osprey_executor.interfaces.cli.deciding import Person, Token
    from osprey_executor.interfaces.cli.ending import show_end
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        restoring = await work.service.restoring(run)
        _tell(screen, restoring)
        if not restoring.channels:
            if as_json:
                write_json(restoring.model_dump(mode="json"))
            return Exit.SUCCEEDED
        person = Person(work) if screen.interactive else None
        work.display.begin("starting the sandbox", own_code=True)
        events = work.service.restore_stream(restoring, decide=person, credential=Token(work))
        return await show_end(work, await work.follow(events))

    return with_service(body, screen)


def _tell(screen: Screen, restoring: Restoring) -> None:
    from osprey_executor.text import one_line

    count = len(restoring.channels)
    told = f"{count} channel{'' if count == 1 else 's'} of run {restoring.run_id} can be brought back."
    if not count:
        why = "" if restoring.left else ": it wrote nothing, or its channels hold what they held before it"
        told = f"Nothing of run {restoring.run_id} is to be brought back{why}."
    screen.tell(told)
    for one in restoring.left:
        screen.tell(f"Left as it is: {one_line(one.channel, 120)}: {one_line(one.reason, 300)}", style="yellow")
