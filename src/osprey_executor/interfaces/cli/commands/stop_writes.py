"""`stop-writes` and `allow-writes`: the kill switch."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json


def stop_writes(
    reason: Annotated[str, typer.Option(help="Why, for whoever finds a write refused.")] = "", as_json: Json = False
) -> int:
    """Stop every write to the machine, at once, in every process that uses this state folder, also during a run.

    It stays so until `allow-writes`.
    """
    from osprey_executor.config import state_folder
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.models import system_user
    from osprey_executor.service import StopSwitch

    screen = Screen.open(as_json=as_json)
    switch = StopSwitch(state_folder())
    first = switch.stop(system_user(), reason)
    if as_json:
        write_json({"stopped": True, "since_before": not first, "reason": switch.on()})
    else:
        screen.show("Writes are stopped." if first else f"Nothing to do: {switch.on()}.", wrap=False)
        screen.tell("A run that is approved meanwhile writes nothing, which its card says as long as it is so.")
        screen.tell("`osprey-executor allow-writes` allows them again.")
    return Exit.SUCCEEDED


def allow_writes(as_json: Json = False) -> int:
    """Allow again what `stop-writes` stopped. Every write still needs its approval."""
    from osprey_executor.config import state_folder
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.models import system_user
    from osprey_executor.service import StopSwitch

    screen = Screen.open(as_json=as_json)
    said = StopSwitch(state_folder()).release(system_user())
    if as_json:
        write_json({"stopped": False, "was": said})
    else:
        screen.show(f"Writes are allowed again; before, {said}." if said else "Writes were not stopped.", wrap=False)
    return Exit.SUCCEEDED
