"""`replay`: runs the code of an earlier run again, against its record."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def replay(run: RunId, as_json: Json = False) -> int:
    """Run the code of an earlier run again, on its record.

    Reads answer from the record, writes change nothing.
    """
    from osprey_executor.interfaces.cli.exits import of_status
    from osprey_executor.interfaces.cli.screen import Screen, write_json
    from osprey_executor.interfaces.cli.summary import outcome_summary
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        screen.tell("Replaying: nothing reaches the machine ...")
        outcome = await work.service.replay(run)
        if as_json:
            from osprey_executor.service import outcome_to_json

            write_json(outcome_to_json(outcome))
        else:
            screen.show(outcome_summary(outcome))
        return of_status(outcome.status, outcome.error)

    return with_service(body, screen)
