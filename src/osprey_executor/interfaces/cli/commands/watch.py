"""`watch`: follows a run of another process."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def watch(run: RunId, as_json: Json = False) -> int:
    """Follow a run that another process executes.

    Leaves with the exit code of the run. Ctrl-C ends the watching only.
    """
    from osprey_executor.interfaces.cli.ending import show_end
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        return await show_end(work, await work.follow(work.service.watch(run), ours=False))

    return with_service(body, screen)
