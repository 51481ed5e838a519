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


def rehearsed_text(rehearsal: Rehearsal) -> RenderableType:
    """Return what would be written, and how far the rehearsal can be trusted."""
    plan, outcome, control = rehearsal.plan, rehearsal.outcome, rehearsal.control_system
    machine = f"{one_line(control.type, 40)} ({'a REAL machine' if control.real else 'not real'})"
    channels = len({write.channel for write in plan.writes})
    said = f"{len(plan.writes)} writes to {channels} channels" if plan.writes else "no writes"
    head = Text.assemble("Rehearsal on ", machine, ": ", (said, "bold"), ". Nothing was written.")
    told: list[RenderableType] = [head]
    if plan.ended is not RunStatus.SUCCEEDED:
        told.append(Text(f"It ended {plan.ended.replace('_', ' ')}: {one_line(plan.error, 500)}", style="yellow"))
    if plan.feedback_dependent:
        place = f"From line {plan.feedback_dependent_from}" if plan.feedback_dependent_from else "After its writes"
        told.append(
            Text(
                f"{place} on it reads what a rehearsal cannot move: what comes after that may be otherwise, "
                "and a failure there says nothing.",
                style="yellow",
            )
        )
    output, figures = (outcome.stdout, outcome.figures) if outcome else ("", ())
    told.append(plan_section(plan, output=output, figures=figures))
    told.append(Text(f"folder  {rehearsal.folder}", no_wrap=True, overflow="ignore"))
    return Group(*told)
