"""`run`: a task in words, or a program, through the whole pipeline."""

from __future__ import annotations

from pathlib import Path
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
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the id of the run and leave; it goes on by itself.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Run a task, or a program of your own.

    Code is generated (or yours is taken), analysed, shown to you where somebody must be asked, run in isolation and
    recorded. At a terminal you decide there; elsewhere the run waits, and this leaves with exit code 3.

    With --detach the run goes on in a process of its own, which no terminal ends: follow it with `watch`, end it with
    `cancel`. Where somebody must be asked, it waits.
    """
    from osprey_executor.errors import InvalidRequestError
    from osprey_executor.interfaces.cli import sources
    from osprey_executor.text import one_line

    if task is None and code is None:
        raise InvalidRequestError(
            "nothing to do: give a task in words (osprey-executor run 'plot the orbit') "
            "or a program (osprey-executor run --code FILE)"
        )
    if task is not None and not task.strip():
        raise InvalidRequestError("the task is empty: say in words what the code should do")
    if task is not None and code is None and _names_a_program(task):
        raise InvalidRequestError(f"the task {one_line(task)!r} names a file: did you mean --code {one_line(task)}?")
    text = sources.read_code(code) if code is not None else None
    files = sources.input_files(inputs or [])

    if detach:
        from osprey_executor.interfaces.cli.detach import Order, detached

        return detached(Order(task or sources.task_of(code or ""), text, files, config), as_json=as_json)

    from osprey_executor.interfaces.cli.commands.config.available import examined
    from osprey_executor.interfaces.cli.deciding import Person, Token
    from osprey_executor.interfaces.cli.ending import show_end
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.work import Work, with_service
    from osprey_executor.models import PythonExecutionRequest

    request = PythonExecutionRequest(user_query=task or sources.task_of(code or ""), code=text, inputs=files)
    screen = Screen.open(as_json=as_json)
    report = examined(config)
    ready = not report.problems if text is not None else report.generates

    async def body(work: Work) -> int:
        person = Person(work) if screen.interactive else None
        if ready:  # else there is nothing to start, and the error says why
            work.display.begin("starting the sandbox", own_code=text is not None)
        return await show_end(
            work, await work.follow(work.service.stream(request, decide=person, credential=Token(work)))
        )

    return with_service(body, screen, config)


def _names_a_program(task: str) -> bool:
    """Return whether a task is the name of a file and no words."""
    if task.endswith(".py") and len(task.split()) == 1:
        return True
    try:
        return Path(task).is_file()
    except (OSError, ValueError):  # words that can be no name
        return False
