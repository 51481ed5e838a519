"""`container`: a container of one's own, in which programs run with `execution_method: container`."""

from __future__ import annotations

import typer

from osprey_executor.interfaces.cli.commands.container import build, life
from osprey_executor.interfaces.cli.commands.options import help_of

app = typer.Typer(help="Build, start and end a container of your own, by podman or docker.", no_args_is_help=True)
for command in (build.build, life.up, life.status, life.down):
    app.command(help=help_of(command))(command)
