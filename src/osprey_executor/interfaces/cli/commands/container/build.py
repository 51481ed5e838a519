"""`container build`: the image, made with no registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.container.options import Engine, Image
from osprey_executor.interfaces.cli.commands.options import Json


def build(
    base: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Use an image that is there and has python3, jupyter-server and ipykernel."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE.tar", help="Use a tar archive of a file system that has them.")
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Copy this Python or environment (default: the one that runs this command)."),
    ] = None,
    package: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Copy this distribution, too, with all that it needs; may be repeated."),
    ] = None,
    image: Image = None,
    engine: Engine = None,
    as_json: Json = False,
) -> int:
    """Make the image in which kernels run: without --base and --root a copy of the Python of this machine.

    No registry is asked. numpy, pandas, scipy and matplotlib are copied if they are there.
    """
    from osprey_executor.config import state_folder
    from osprey_executor.errors import ConfigurationError
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.service import OwnContainer

    if sum((base is not None, root is not None, bool(python or package))) > 1:
        raise ConfigurationError("--base, --root, and --python with --package are three ways: give one of them")
    screen = Screen.open(as_json=as_json)
    screen.tell("This takes half a minute or more.")
    own = OwnContainer(state_folder(), engine)
    made = own.build(base=base, root=root, python=python, packages=package or (), image=image)
    if as_json:
        write_json({"image": made})
    else:
        screen.show(f"Made: {made}")
        screen.tell("Next: osprey-executor container up")
    return 0
