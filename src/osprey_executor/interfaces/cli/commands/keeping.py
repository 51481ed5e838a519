"""`prune` and `backup`: what of the past is kept, and a copy of all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import Json


def prune(
    days: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0, max=100_000, help="Runs that ended so many days ago go."),
    ],
    written: Annotated[
        bool, typer.Option("--written", help="Also runs that wrote to the machine: they cannot be restored any more.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them without asking.")] = False,
    as_json: Json = False,
) -> int:
    """Remove runs of the past with all that they left.

    Runs that go on or wait, and those with a write whose end nobody knows, stay in any case. The audit trail and the
    memory stay whole.
    """
    from datetime import UTC, datetime, timedelta

    from rich.text import Text

    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.prompt import ask_line
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models.limits import show_size

    screen = Screen.open(as_json=as_json)
    before = datetime.now(UTC) - timedelta(days=days)

    async def body(work: Work) -> int:
        seen = await work.service.prunable(before, written=written)
        count = f"{len(seen.run_ids)} run{'' if len(seen.run_ids) == 1 else 's'}, {show_size(seen.bytes)}"
        if seen.run_ids and not yes:
            if not screen.interactive:
                raise InvalidRequestError(f"{count} would be removed; there is no terminal to ask at: add --yes")
            screen.tell(f"{count} would be removed, from {seen.run_ids[0]} to {seen.run_ids[-1]}.")
            if await ask_line(screen, Text("Remove them? Type remove: ", style="bold")) != "remove":
                screen.tell("Nothing was removed.")
                return Exit.SUCCEEDED
        gone = await work.service.prune(seen)
        if as_json:
            write_json(gone.model_dump(mode="json"))
        else:
            many = "s" if len(gone.run_ids) != 1 else ""
            screen.show(Text(f"Removed {len(gone.run_ids)} run{many}, {show_size(gone.bytes)}."))
        return Exit.SUCCEEDED

    return with_service(body, screen)


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, outside of the state folder.")],
    as_json: Json = False,
) -> int:
    """Copy the state folder, also while it is in use.

    The copy is a state folder like any other: name it with OSPREY_EXECUTOR_HOME, or put it in the place of a lost one.
    It holds the key that signs grants and the digests of tokens: keep it as safe as the original.
    """
    from rich.text import Text

    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models.limits import show_size

    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        made = await work.service.backup(folder)
        if as_json:
            write_json(made.model_dump(mode="json"))
        else:
            many = "s" if made.runs != 1 else ""
            screen.show(Text(f"Copied to {made.folder}: {made.runs} run{many}, {show_size(made.bytes)}."))
        return Exit.SUCCEEDED

    return with_service(body, screen)
