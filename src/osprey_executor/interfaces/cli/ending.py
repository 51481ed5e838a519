"""The end of a command about one run: its result in the wanted form, and its exit code."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from osprey_executor.errors import InvalidDecision
from osprey_executor.interfaces.cli.exits import Exit, of_status
from osprey_executor.interfaces.cli.failures import tell
from osprey_executor.interfaces.cli.streams import write_json
from osprey_executor.interfaces.cli.summary import not_now, run_summary
from osprey_executor.models import MachineEffects, RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work
    from osprey_executor.models import ApprovalCard, Decision, RunResult


_CUT_SHORT = (RunStatus.FAILED, RunStatus.REFUSED, RunStatus.TIMED_OUT, RunStatus.CANCELLED)


async def show_end(work: Work, result: RunResult | None, *, wanted: RunStatus = RunStatus.SUCCEEDED) -> int:
    """Show a result as `finish` does; of a run that waits also what is in its way at this moment."""
    in_the_way: Sequence[str] = ()
    if result is not None and result.status is RunStatus.AWAITING_APPROVAL:
        with suppress(InvalidDecision):  # somebody has just decided
            in_the_way = await work.service.in_the_way(await work.service.card(result.run_id))
    return finish(work.screen, result, wanted=wanted, in_the_way=in_the_way)


def finish(
    screen: Screen,
    result: RunResult | None,
    *,
    wanted: RunStatus = RunStatus.SUCCEEDED,
    in_the_way: Sequence[str] = (),
) -> int:
    """Show a result and return the exit code of its status; 0 where the run ended as the command asked.

    Args:
        screen: where it is shown.
        result: of the run; None: a signal came before there was one.
        wanted: how the command asked the run to end.
        in_the_way: why an approval would write nothing at this moment.
    """
    if result is None:
        return tell("Interrupted", "interrupted before the run began", Exit.INTERRUPTED, as_json=screen.as_json)
    if screen.as_json:
        from osprey_executor.service import result_to_json

        told = result_to_json(result)
        waits = result.status is RunStatus.AWAITING_APPROVAL
        write_json(told | {"in_the_way": list(in_the_way)} if waits else told)
    else:
        screen.show(run_summary(result))
    if result.status is RunStatus.AWAITING_APPROVAL:
        for one in in_the_way:
            screen.tell(not_now(one), style="bold red")
        _tell_how_to_decide(screen, result)
    if result.effects is MachineEffects.WRITTEN and result.status in _CUT_SHORT:
        screen.tell(
            f"It had written before that: osprey-executor restore {result.run_id} shows what can be brought back."
        )
    return Exit.SUCCEEDED if result.status is wanted else of_status(result.status, result.error)


async def decide_and_finish(
    work: Work, card: ApprovalCard, decision: Decision, *, wanted: RunStatus = RunStatus.SUCCEEDED
) -> int:
    """Decide about a run, show how it goes on where this process executes it, and finish with its result."""
    from osprey_executor.interfaces.cli.deciding import Token

    events = work.service.decide_stream(card.run_id, decision, credential=Token(work))
    return await show_end(work, await work.follow(events), wanted=wanted)


def _tell_how_to_decide(screen: Screen, result: RunResult) -> None:
    name = "osprey-executor"
    # At a terminal `approve` shows the card and asks; a script must name what it has read.
    digest = f" --digest {result.digest}" if result.digest and not screen.interactive else ""
    screen.tell("Nothing runs until somebody decides:")
    screen.tell(f"  {name} show {result.run_id}")
    screen.tell(f"  {name} approve {result.run_id}{digest}")
    screen.tell(f"  {name} edit {result.run_id}{'' if screen.interactive else ' --code FILE'}")
    screen.tell(f"  {name} reject {result.run_id} --reason TEXT")
