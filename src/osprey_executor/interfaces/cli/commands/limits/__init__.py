"""`limits`: look after the limits database."""

from __future__ import annotations

import typer

from osprey_executor.interfaces.cli.commands.limits import check
from osprey_executor.interfaces.cli.commands.options import help_of

app = typer.Typer(help="Look after the limits database.", no_args_is_help=True)


@app.callback()
def _limits() -> None:  # pyright: ignore[reportUnusedFunction] - with it, Typer keeps `check` a command of its own
    pass


app.command(help=help_of(check.check))(check.check)
