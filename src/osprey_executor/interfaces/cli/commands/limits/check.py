"""`limits check`: the limits database beside the live machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osprey_executor.interfaces.cli.commands.options import ConfigFile, Json

if TYPE_CHECKING:
    from rich.text import Text

    from osprey_executor.models import LimitsCheck


def check(config: ConfigFile = None, as_json: Json = False) -> int:
    """Compare the limits database with the live channels. Reads only.

    Exit 1 if they disagree, 2 if the database cannot be used. Where no control system answers, the file alone is
    checked.
    """
    import asyncio

    from osprey_executor.config import load_config
    from osprey_executor.interfaces.cli.exits import Exit
    from osprey_executor.interfaces.cli.screen import Screen
    from osprey_executor.interfaces.cli.streams import write_json
    from osprey_executor.service import check_limits

    screen = Screen.open(as_json=as_json)
    found = asyncio.run(check_limits(load_config(config)))
    if as_json:
        write_json(found.model_dump(mode="json"))
    else:
        for line in _lines(found):
            screen.show(line, wrap=False)
    return Exit.FAILED if found.findings else Exit.SUCCEEDED


def _lines(found: LimitsCheck) -> list[Text]:
    from rich.text import Text

    from osprey_executor.text import one_line

    database = found.database
    lines = [Text(f"{one_line(database.path, 500)}: {database.counted}")]
    for one in found.findings:
        kind = one.kind.replace("_", " ")
        lines.append(
            Text.assemble((f"{kind:<16}", "bold red"), f"{one_line(one.channel)}: {one_line(one.detail, 400)}")
        )
    if found.live:
        lines.append(Text(f"Only the file was checked: {one_line(found.live, 400)}", style="yellow"))
    elif found.findings:
        many = f"{len(found.findings)} finding{'' if len(found.findings) == 1 else 's'}"
        lines.append(Text(f"{many}, {found.looked_at} channels looked at.", style="bold red"))
    else:
        lines.append(Text(f"The machine agrees: {found.looked_at} channels looked at.", style="green"))
    return lines
