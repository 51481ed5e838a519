"""Arguments and options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its beginning.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, all else on stderr.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Configuration file (default: the usual places).", show_default=False
    ),
]


def help_of(command: Callable[..., Any]) -> str:
    """Return the docstring of a command with each paragraph on one line: the terminal's width breaks it, not ours."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
