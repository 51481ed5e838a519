"""`config`: check, show and make the configuration."""

from __future__ import annotations

import typer

from osprey_executor.interfaces.cli.commands.config import check, init, show
from osprey_executor.interfaces.cli.commands.options import help_of

app = typer.Typer(help="Check, show or make the configuration.", no_args_is_help=True)
for command in (init.init, check.check, show.show):
    app.command(help=help_of(command))(command)
