"""`analyze`: what a program could do, without running it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from osprey_executor.interfaces.cli.commands.options import ConfigFile


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def analyze(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Python files; - is stdin.", show_default=False)
    ],
    form: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = Format.TEXT,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show each place in its line, the way of the value and the rule."),
    ] = False,
    quality: Annotated[bool, typer.Option("--quality", help="Also look for plain mistakes.")] = False,
    config: ConfigFile = None,
) -> int:
    """Say what programs could do, without running them.

    They are only parsed, by the rules of the configuration. Exit 4 if one would be refused, 1 if one does not parse.
    """
    from osprey_executor.config import load_config
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.explained import explained
    from osprey_executor.interfaces.cli.findings import does_not_parse, report_text
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.sources import read_code
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.models import Verdict
    from osprey_executor.service import RULES, Gates, site_of
    from osprey_executor.service import analyze as analyse

    site = site_of(load_config(config).analysis)
    gates = Gates() if quality else None
    sources = {name: read_code(name) for name in files}
    reports = {name: analyse(source, site=site, gates=gates) for name, source in sources.items()}
    if form is Format.JSON:
        write_json([{"file": name, **report.model_dump(mode="json")} for name, report in reports.items()])
    else:
        screen = Screen.open()
        for name, report in reports.items():
            text = explained(name, report, sources[name], RULES) if explain else report_text(name, report)
            screen.show(text, wrap=False)
    if any(report.verdict is Verdict.DENY for report in reports.values()):
        return Exit.REFUSED
    return Exit.FAILED if any(does_not_parse(report) for report in reports.values()) else Exit.SUCCEEDED
