"""`config`: check, show and make the configuration."""

from __future__ import annotations

import typer

app = typer.Typer(help="Check, show or make the configuration.", no_args_is_help=True)


@app.callback()
def _config() -> None:  # pyright: ignore[reportUnusedFunction] - Typer calls it
    pass
