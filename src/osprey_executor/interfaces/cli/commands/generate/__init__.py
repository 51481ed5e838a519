"""`generate`: write files to begin from."""

from __future__ import annotations

import typer

from osprey_executor.interfaces.cli.commands.generate import claude_config
from osprey_executor.interfaces.cli.commands.options import help_of

app = typer.Typer(help="Write files to begin from.", no_args_is_help=True)


@app.callback()
def _generate() -> None:  # pyright: ignore[reportUnusedFunction] - with it, Typer keeps the one command a command
    pass


app.command("claude-config", help=help_of(claude_config.claude_config))(claude_config.claude_config)
