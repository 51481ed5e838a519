"""`cancel`: ends a run."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def cancel(run: RunId, as_json: Json = False) -> int:
    """Cancel a run, wherever it executes or waits."""
    from osprey_executor.interfaces.cli.ending import finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import RunStatus

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        return finish(screen, await work.service.cancel(run), wanted=RunStatus.CANCELLED)

    return with_service(body, screen)
