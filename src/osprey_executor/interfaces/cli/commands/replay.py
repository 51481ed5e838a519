"""`replay`: runs the code of an earlier run again, against its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osprey_executor.interfaces.cli.commands.options import Json, RunId

if TYPE_CHECKING:
    from osprey_executor.models import Outcome, RunResult


def replay(run: RunId, as_json: Json = False) -> int:
    """Run the code of an earlier run again, on its record.

    Reads answer from the record, writes change nothing.
    """
    from osprey_executor.interfaces.cli.exits import of_status
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.summary import outcome_summary
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.service import result_to_json

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        work.display.begin("replaying, which reaches no machine")
        outcome = await work.service.replay(run)
        work.display.pause()
        if as_json:
            write_json(result_to_json(_as_replayed(await work.service.result(run), outcome)))
        else:
            screen.show(outcome_summary(outcome))
        return of_status(outcome.status, outcome.error)

    return with_service(body, screen)


def _as_replayed(result: RunResult, outcome: Outcome) -> RunResult:
    """Return the run as its replay came out, which did nothing to the machine."""
    from osprey_executor.models import MachineEffects

    fields = type(result).model_fields.keys() & type(outcome).model_fields.keys()
    replayed: dict[str, Any] = {name: getattr(outcome, name) for name in fields}
    return result.model_copy(update=replayed | {"effects": MachineEffects.NONE, "writes": (), "refusals": ()})
