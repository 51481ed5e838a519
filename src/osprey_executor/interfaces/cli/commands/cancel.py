"""`cancel`: ends a run."""

from __future__ import annotations

from osprey_executor.interfaces.cli.commands.options import Json, RunId


def cancel(run: RunId, as_json: Json = False) -> int:
    """Cancel a run, wherever it executes or waits."""
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli.ending import finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.summary import WORDS
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import RunStatus

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        try:
            before = await work.service.result(run)
        except InvalidRequestError:  # it goes on
            before = None
        result = await work.service.cancel(run)
        ended = before is not None and before.status is not RunStatus.AWAITING_APPROVAL
        if ended or result.status is not RunStatus.CANCELLED:
            words = WORDS[result.status][0].lower()
            screen.tell(f"Nothing to cancel: {result.run_id} had already ended ({words}).", style="yellow")
        return finish(screen, result, wanted=RunStatus.CANCELLED)

    return with_service(body, screen)
