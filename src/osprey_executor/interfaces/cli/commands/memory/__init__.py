"""`memory`: what generators are told of this user's ways, and which programs are examples for them."""

from __future__ import annotations

import typer

from osprey_executor.interfaces.cli.commands.memory import imports, keep, look, notes, proposals
from osprey_executor.interfaces.cli.commands.options import help_of

app = typer.Typer(
    help="Look after notes and proven programs, which are given to generators as data.", no_args_is_help=True
)
for name, command in (
    ("list", look.listed),
    ("show", look.show),
    ("add", notes.add),
    ("edit", notes.edit),
    ("delete", notes.delete),
    ("share", notes.share),
    ("keep", keep.keep),
    ("pending", proposals.pending),
    ("accept", proposals.accept),
    ("reject", proposals.reject),
    ("import", imports.import_),
):
    app.command(name, help=help_of(command))(command)
