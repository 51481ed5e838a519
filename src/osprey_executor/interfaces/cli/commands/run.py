"""`run`: a task in words, or a program, through the whole pipeline."""

from __future__ import annotations

from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json


def run(
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="What the code should do, in words.", show_default=False)
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Run this program instead of generating one; - is stdin.", show_default=False
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="FILE", help="The code finds it at inputs/NAME. Repeatable.", show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Run a task, or a program of your own.

    Code is generated (or yours is taken), analysed, shown to you where somebody must be asked, run in isolation and
    recorded. At a terminal you decide there; elsewhere the run waits, and this leaves with exit code 3.
    """
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli import sources

    if task is None and code is None:
        raise InvalidRequestError(
            "nothing to do: give a task in words (osprey-executor run 'plot the orbit') "
            "or a program (osprey-executor run --code FILE)"
        )
    if task is not None and not task.strip():
        raise InvalidRequestError("the task is empty: say in words what the code should do")
    text = sources.read_code(code) if code is not None else None
    files = sources.input_files(inputs or [])

    from osprey_executor.interfaces.cli.deciding import Person
    from osprey_executor.interfaces.cli.ending import finish
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import PythonExecutionRequest

    request = PythonExecutionRequest(user_query=task or sources.task_of(code or ""), code=text, inputs=files)
    screen = Screen.open(as_json=as_json)

    async def body(work: Work) -> int:
        person = Person(screen, work.display, work.interrupts) if screen.interactive else None
        work.display.begin("starting the sandbox")
        return finish(screen, await work.follow(work.service.stream(request, decide=person)))

    return with_service(body, screen, config)
