"""`audit`: whether the audit trail is whole, and its records."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json, help_of

app = typer.Typer(help="Verify and export the audit trail: who asked, decided and changed what.", no_args_is_help=True)


def verify(config: ConfigFile = None, as_json: Json = False) -> int:
    """Look through the audit trail: whether something was changed, left out, cut off or put elsewhere.

    What no head outside of the state folder vouches for is said to be outside the claim. Exit 1 where it is not whole.
    """
    from rich.text import Text

    from osprey_executor.config import config_from, state_folder
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.service import verify
    from osprey_executor.text import one_line

    screen = Screen.open(as_json=as_json)
    found = verify(state_folder(), config_from(config).audit.heads)
    if as_json:
        told = {"records": found.records, "claimed": found.claimed, "outside": found.outside}
        write_json(told | {"problems": list(found.problems)})
        return Exit.FAILED if found.problems else Exit.SUCCEEDED
    for problem in found.problems:
        screen.tell(Text(one_line(problem, 1000), style="bold red"))
    records = f"{found.records} record{'' if found.records == 1 else 's'}"
    screen.show("NOT WHOLE: see above." if found.problems else f"Whole: {records}.", wrap=False)
    if found.claimed:
        vouched = f"Heads outside vouch for the first {found.claimed}"
        screen.show(f"{vouched}; {found.outside} after that are outside the claim.", wrap=False)
    else:
        screen.tell(
            "No head outside vouches for it (audit.heads): whoever can write the state folder, and its key, could have "
            "made all of it anew, which is outside the claim."
        )
    return Exit.FAILED if found.problems else Exit.SUCCEEDED


def export(
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="From this record, by number, or from this time on.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Print the records, one line of JSON each, as they were written; with --json one list."""
    import json
    import sys

    from osprey_executor.config import state_folder
    from osprey_executor.interfaces.cli.streams import write_json, write_out
    from osprey_executor.service import exported

    records = exported(state_folder(), since)
    if as_json:
        write_json([json.loads(line) for line in records])
    else:
        write_out(lambda: sys.stdout.writelines(line.decode("ascii", "backslashreplace") + "\n" for line in records))
    return 0


for command in (verify, export):
    app.command(command.__name__, help=help_of(command))(command)
