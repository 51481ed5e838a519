"""Options that several commands of `container` share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Engine = Annotated[
    Literal["docker", "podman"] | None,
    typer.Option(help="By which of both (default: whichever answers).", show_default=False),
]
Image = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the image (default: the usual one).", show_default=False)
]
