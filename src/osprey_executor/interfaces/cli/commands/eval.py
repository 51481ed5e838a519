"""`eval`: how well generators do, on a suite of tasks with checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json

if TYPE_CHECKING:
    from osprey_executor.config import Config
    from osprey_executor.evaluation import Suite, TaskReport
    from osprey_executor.interfaces.cli.screen import Screen


def evaluate(
    suite: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Suite of tasks (default: the 20 that come with it).", show_default=False),
    ] = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Generator (default: as configured). Repeatable.", show_default=False),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="How often each task is run.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the runs in this state folder.", show_default=False),
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Test the suite: solutions must pass, mistakes must not.")
    ] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Run a suite of tasks with generators, and count what they did at the first try and after repair.

    Nothing is written to any machine: of tasks that write, the plan is looked at, and then rejected. Exit code 0 says
    that all of it was run, however well; 2 that a generator lacks something (a key, an extra), 6 that its provider did
    not answer, 1 that a suite fails its own test.
    """
    import asyncio

    from osprey_executor.config import load_config
    from osprey_executor.errors import ConfigurationError
    from osprey_executor.evaluation import load_suite, shipped_suite
    from osprey_executor.interfaces.cli.screen import Screen

    screen = Screen.open(as_json=as_json)
    found = load_suite(suite) if suite else shipped_suite()
    settings = load_config(config)
    if self_test:
        return asyncio.run(_tested(screen, found, settings))
    names = generator or ([settings.execution.code_generator] if settings.execution.code_generator else [])
    if not names:
        raise ConfigurationError("no generator of code is configured; name one with --generator, as `--generator mock`")
    return asyncio.run(_evaluated(screen, found, settings, names, repeats, keep and keep.absolute()))


async def _evaluated(
    screen: Screen, suite: Suite, config: Config, names: list[str], repeats: int, keep: Path | None
) -> int:
    from osprey_executor.evaluation import evaluate
    from osprey_executor.interfaces.cli.evaluated import document, failures, report_table
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.streams import write_json

    report = await evaluate(
        suite,
        config,
        names,
        repeats=repeats,
        home=keep,
        told=lambda name, run: _tell(screen, name, run),
    )
    if screen.as_json:
        write_json(document(report))
    else:
        screen.show(report_table(report))
        screen.show(failures(report), wrap=False)
    if any(each.misconfigured for each in report.generators):
        return Exit.USAGE
    return Exit.SUCCEEDED if all(each.complete for each in report.generators) else Exit.UNAVAILABLE


async def _tested(screen: Screen, suite: Suite, config: Config) -> int:
    from osprey_executor.evaluation import self_test
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.streams import write_json

    problems = await self_test(suite, config)
    if screen.as_json:
        write_json({"suite": suite.name, "tasks": len(suite.tasks), "problems": problems})
    else:
        for problem in problems:
            screen.show(problem, wrap=False)
        right = f"All solutions of {len(suite.tasks)} tasks pass, and no mistake does."
        screen.show(
            right if not problems else f"The suite is wrong in {len(problems)} place{'s' * (len(problems) > 1)}.",
            wrap=False,
        )
    return Exit.FAILED if problems else Exit.SUCCEEDED


def _tell(screen: Screen, name: str, run: TaskReport) -> None:
    from osprey_executor.text import one_line

    after = "" if run.attempts == 1 else f" after {run.attempts} attempts"
    how = "passed" if run.passed else "failed"
    screen.tell(f"{one_line(name)}: {run.id} {how}{after}, {run.seconds:.1f} s")
