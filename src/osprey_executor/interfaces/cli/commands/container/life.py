"""`container up`, `status` and `down`: the container of a state folder."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.container.options import Engine, Image
from osprey_executor.interfaces.cli.commands.options import Json


def up(
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Of all kernels and programs together.")] = "4 GiB",
    processes: Annotated[int, typer.Option(metavar="N", help="Processes and threads, a kernel has about 20.")] = 2048,
    tmp: Annotated[str, typer.Option(metavar="SIZE", help="Of temporary files; they count as memory, too.")] = "1 GiB",
    image: Image = None,
    engine: Engine = None,
    as_json: Json = False,
) -> int:
    """Start the container, prove from inside that it contains, and leave it running.

    Programs then run in it with execution_method: container and execution.container.managed: true.
    """
    import asyncio

    from pydantic import ValidationError

    from osprey_executor.config import state_folder
    from osprey_executor.errors import ConfigurationError
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.service import ContainerLimits, OwnContainer, start_container

    try:
        limits = ContainerLimits.model_validate({"memory": memory, "processes": processes, "tmp": tmp})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"--{first['loc'][0]}: {first['msg']}") from None
    screen = Screen.open(as_json=as_json)
    screen.tell("Starting it, and trying what it must refuse.")
    record = asyncio.run(start_container(OwnContainer(state_folder(), engine), limits, image))
    if as_json:
        write_json(record.model_dump(mode="json"))
    else:
        screen.show(f"The container {record.name} is up, by {record.engine}, and was seen to contain.", wrap=False)
        screen.tell("In config.yml: execution: {execution_method: container, container: {managed: true}}")
        screen.tell("`osprey-executor container down` ends it.")
    return 0


def status(as_json: Json = False) -> int:
    """Tell whether the container is up. Exit 6 if it is not."""
    from osprey_executor.config import state_folder
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.models import show_size
    from osprey_executor.service import OwnContainer

    record, state = OwnContainer(state_folder()).status()
    screen = Screen.open(as_json=as_json)
    if as_json:
        write_json({"state": state, "record": record.model_dump(mode="json") if record is not None else None})
    elif record is None:
        screen.show("No container is up for this state folder: osprey-executor container up")
    else:
        limits = record.limits
        room = f"memory {show_size(limits.memory)}, {limits.processes} processes, tmp {show_size(limits.tmp)}"
        screen.show(f"{record.name}: {state}, by {record.engine}\n{room}\nimage {record.image}", wrap=False)
    return Exit.SUCCEEDED if record is not None and state == "running" else Exit.UNAVAILABLE


def down(engine: Engine = None, as_json: Json = False) -> int:
    """End the container, with every kernel and program in it."""
    from osprey_executor.config import state_folder
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.service import OwnContainer

    was = OwnContainer(state_folder(), engine).down()
    screen = Screen.open(as_json=as_json)
    if as_json:
        write_json({"was_up": was})
    else:
        screen.show("The container is gone." if was else "No container was up for this state folder.")
    return 0
