"""`config check`: which file won, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json

if TYPE_CHECKING:
    from rich.text import Text

    from osprey_executor.config import CheckReport
    from osprey_executor.models import Probe


def check(
    config: ConfigFile = None,
    online: Annotated[bool, typer.Option("--online", help="Ask each model one tiny question, too.")] = False,
    as_json: Json = False,
) -> int:
    """Say which file is the configuration and whether it can be used.

    Exit 2 if it cannot; with --online, exit 6 if a model does not answer.
    """
    from osprey_executor.interfaces.cli.commands.config.available import examined
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.lists import probes_table
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json

    screen = Screen.open(as_json=as_json)
    report = examined(config)
    probes = _online(config) if online and report.ok else []
    if as_json:
        told = {"online": [probe.model_dump(mode="json") for probe in probes]} if online else {}
        write_json(report.model_dump(mode="json") | {"ok": report.ok} | told)
    else:
        for line in _lines(report):
            screen.show(line, wrap=False)
        if probes:
            screen.show(probes_table(probes))
    if any(probe.outcome == "failed" for probe in probes):
        return Exit.UNAVAILABLE
    return Exit.SUCCEEDED if report.ok else Exit.USAGE


def _online(config: Path | None) -> list[Probe]:
    import asyncio

    from osprey_executor import service
    from osprey_executor.config import load_config

    return asyncio.run(service.check_generator(load_config(config)))


def _lines(report: CheckReport) -> list[Text]:
    from rich.text import Text

    from osprey_executor.text import one_line, visible

    lines: list[Text] = []
    won = False
    for name, path, exists in report.searched:
        state, style = ("used", "green") if exists and not won else ("not used" if exists else "not there", "dim")
        won = won or exists
        lines.append(Text.assemble((f"{state:<10}", style), f"{one_line(name)}: {one_line(str(path), 500)}"))
    if not won and not report.problems:
        lines.append(Text("No file: the defaults are used. They run your own code; generating code needs a generator:"))
        lines.append(Text("  osprey-executor config init", style="bold"))
    lines += [Text.assemble(("warning   ", "yellow"), visible(text)) for text in report.warnings]
    lines += [Text.assemble(("lacking   ", "yellow"), visible(text)) for text in report.lacking]
    lines += [Text.assemble(("problem   ", "bold red"), visible(text)) for text in (*report.problems, *report.shut)]
    if report.ok and not report.lacking:
        lines.append(Text("The configuration can be used.", style="green"))
    elif report.ok:
        lines.append(Text("It can be used for your own code; what is lacking fails once it is needed.", style="yellow"))
    elif not report.problems:
        lines.append(Text("Runs would start, and every write would be refused.", style="bold red"))
    else:
        lines.append(Text("The configuration cannot be used: no run would start.", style="bold red"))
    return lines
