"""`demo`: the whole way on a virtual accelerator, with nothing configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from osprey_executor.interfaces.cli.commands.options import Json

if TYPE_CHECKING:
    from osprey_executor.interfaces.cli.work import Work
    from osprey_executor.models import ApprovalCard, Approve

TASK = "measure the orbit response and correct the orbit"
CONFIG: dict[str, Any] = {
    "execution": {
        "code_generator": "mock",
        "execution_method": "local",
        "generators": {"mock": {"example": "orbit_correction"}},
    },
    "control_system": {"type": "simulator", "writes_enabled": True, "rehearsal": "simulator"},
}


def demo(
    restore: Annotated[
        bool, typer.Option("--restore", help="Afterwards bring the correctors back, approved too.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Correct the orbit of a virtual accelerator.

    Scripted code, rehearsed on a copy of the machine, your approval, a sandbox, results and figures; nothing to
    configure. Without a terminal it approves by itself, as `demo`: the machine is a simulator that this command has
    started.
    """
    from rich.text import Text

    from osprey_executor.interfaces.cli.deciding import Person
    from osprey_executor.interfaces.cli.ending import finish
    from osprey_executor.interfaces.cli.exits import of_status
    from osprey_executor.interfaces.cli.orbit import orbit_text
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import with_service
    from osprey_executor.models import PythonExecutionRequest

    screen = Screen.open(as_json=as_json)
    request = PythonExecutionRequest(user_query=TASK)

    async def body(work: Work) -> int:
        screen.tell(Text.assemble("Task: ", (TASK, "bold")))
        screen.tell(
            "Machine: a virtual accelerator, started by this command. Code: mock (scripted); no model is asked."
        )
        work.display.begin("starting the virtual accelerator and the sandbox")
        alone = not screen.interactive
        # A run that waited for another day would wait for a machine that ends with this command.
        decide = _AsDemo(work) if alone else Person(work, stays=False)
        approver = "demo" if alone else None
        result = await work.follow(work.service.stream(request, decide=decide, approver=approver))
        if result and isinstance(decide, Person) and decide.gone:
            result = await work.service.cancel(result.run_id)
        code = finish(screen, result)
        if result and (orbit := orbit_text(result.results)):
            screen.tell(orbit) if as_json else screen.show(orbit)
        if not restore or result is None or code:
            return code
        screen.tell("Bringing the correctors back.")
        restoring = await work.service.restoring(result.run_id)
        events = work.service.restore_stream(restoring, decide=decide, approver=approver)
        back = await work.follow(events)
        if as_json and back:  # one document on standard output
            screen.tell(f"{back.task} {back.status.capitalize()}.")
            return of_status(back.status, back.error)
        return finish(screen, back)

    return with_service(body, screen, CONFIG)


class _AsDemo:
    """Approves where nobody can be asked; right only here, where the machine is a simulator of this very process."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self, card: ApprovalCard) -> Approve | None:
        from osprey_executor.interfaces.cli.deciding import show_card
        from osprey_executor.models import Approve

        await show_card(self._work, card)
        if card.control_system.real or card.control_system.type != "simulator":
            return None
        self._work.screen.tell(
            "No terminal to ask at: approved by this command as `demo`, as the machine is its own simulator.",
            style="yellow",
        )
        # It measures and corrects in a closed loop: what it writes depends on what the machine answers.
        return Approve(card.envelope.digest if card.envelope else card.digest)
