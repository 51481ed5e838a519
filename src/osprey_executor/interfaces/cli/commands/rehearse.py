"""`rehearse`: what an existing program would write, without the machine being moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json

if TYPE_CHECKING:
    from osprey_executor.models import Plan, Rehearsal


def rehearse(
    script: Annotated[str, typer.Argument(metavar="SCRIPT", help="A Python program; - is stdin.", show_default=False)],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="FILE", help="The code finds it at inputs/NAME. Repeatable.", show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Run a program with live reads, and show what it would write. Nothing is written, and nobody is asked.

    Exit 0 if the program came to its end, or to where only the machine could answer; 1 if it failed, 4 if the limits
    database would refuse it, 5 if it took too long without a write.
    """
    from osprey_executor.interfaces.cli import sources
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import PythonExecutionRequest

    screen = Screen.open(as_json=as_json)
    request = PythonExecutionRequest(
        user_query=sources.task_of(script), code=sources.read_code(script), inputs=sources.input_files(inputs or [])
    )

    async def body(work: Work) -> int:
        work.display.begin("rehearsing; writes are kept from the machine")
        rehearsal = await work.service.rehearse(request)
        work.display.pause()
        if as_json:
            write_json(_json_of(rehearsal))
        else:
            from osprey_executor.interfaces.cli.rehearsed import rehearsed_text

            screen.show(rehearsed_text(rehearsal, screen.out.width))
        return _code(rehearsal)

    return with_service(body, screen, config)


def _code(rehearsal: Rehearsal) -> int:
    from osprey_executor.interfaces.cli.exits import Exit, of_status

    if rehearsal.outcome is None or inconclusive(rehearsal.plan):
        return Exit.SUCCEEDED
    return of_status(rehearsal.outcome.status, rehearsal.outcome.error)


def inconclusive(plan: Plan) -> bool:
    """Return whether the program's end, if it was a bad one, says nothing of the program."""
    from osprey_executor.models import RunStatus

    return bool(plan.writes) and (plan.feedback_dependent or plan.ended is RunStatus.TIMED_OUT)


def _json_of(rehearsal: Rehearsal) -> dict[str, Any]:
    plan, outcome = rehearsal.plan, rehearsal.outcome
    told = plan.model_dump(mode="json")
    return {
        "status": plan.ended.value,
        "error": plan.error or None,
        "attempted_writes": told["attempted"],
        "plan": told["writes"],
        "refused": told["refused"],
        "start": told["start"],
        "declared": told["declared"],
        "feedback_dependent": plan.feedback_dependent,
        "feedback_dependent_from": plan.feedback_dependent_from,
        "simulated": plan.simulated,
        "seconds": plan.seconds,
        "stdout": outcome.stdout if outcome else "",
        "stderr": outcome.stderr if outcome else "",
        "figures": [str(path) for path in outcome.figures] if outcome else [],
        "notes": list(outcome.notes) if outcome else [],
        "control_system": rehearsal.control_system.model_dump(mode="json"),
        "isolation": rehearsal.isolation.model_dump(mode="json"),
        "folder": str(rehearsal.folder),
    }
