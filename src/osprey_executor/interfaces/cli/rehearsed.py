"""What a rehearsal found out, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from osprey_executor.interfaces.cli.card_plan import plan_section
from osprey_executor.models import RunStatus
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from osprey_executor.models import Rehearsal

_ENDED = {
    RunStatus.FAILED: "It failed",
    RunStatus.REFUSED: "It was refused",
    RunStatus.TIMED_OUT: "It was ended for its time",
}


def rehearsed_text(rehearsal: Rehearsal, width: int) -> RenderableType:
    """Return what would be written, and how far the rehearsal can be trusted."""
    plan, outcome, control = rehearsal.plan, rehearsal.outcome, rehearsal.control_system
    machine = f"{one_line(control.type, 40)} ({'a REAL machine' if control.real else 'not real'})"
    channels = len({write.channel for write in plan.writes})
    said = f"{_counted(len(plan.writes), 'write')} to {_counted(channels, 'channel')}" if plan.writes else "no writes"
    head = Text.assemble("Rehearsal on ", machine, ": ", (said, "bold"), ". Nothing was written.")
    told: list[RenderableType] = [head]
    if plan.ended is not RunStatus.SUCCEEDED:
        told.append(
            Text(f"{_ENDED.get(plan.ended, 'It ended otherwise')}: {one_line(plan.error, 500)}", style="yellow")
        )
    if plan.feedback_dependent:
        line = plan.feedback_dependent_from
        place = f"From line {line} on" if line else "At some time after its first write"
        told.append(
            Text(
                f"{place} it reads what a rehearsal cannot move: what comes after that may be otherwise, "
                "and a failure there says nothing.",
                style="yellow",
            )
        )
    output, figures = (outcome.stdout, outcome.figures) if outcome else ("", ())
    told.append(plan_section(plan, width=width, output=output, figures=figures))
    told.append(Text(f"folder  {rehearsal.folder}", no_wrap=True, overflow="ignore"))
    return Group(*told)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
